"""Cut a box out of a picture: grown by a padding, scaled down where it is large, refused where it is too small."""

from PIL import Image

from stages.contracts.boxes import Box

Corners = tuple[int, int, int, int]  # whole pixels: left, top, right, bottom


def cut(
    image: Image.Image, box: Box | None, *, padding: float, max_side: int, min_side: int, square: bool = False
) -> Image.Image | None:
    """The picture of a box, or the whole image; None when it is too small.

    Args:
        box: in pixels of ``image``; None: all of it.
        padding: share of the box's width and height that is added on each side.
        max_side: pixels; a picture whose long side is longer is scaled down to it.
        min_side: pixels that the short side must have, scaled or not.
        square: grow the shorter side with what is around the box.
    """
    crop = image
    if box is not None:
        corners = padded(box, padding, *image.size)
        crop = image.crop(squared(corners, *image.size) if square else corners)
    if max(crop.size) > max_side:
        scale = max_side / max(crop.size)
        size = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
        crop = crop.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    return crop if min(crop.size) >= min_side else None


def padded(box: Box, padding: float, width: int, height: int) -> Corners:
    """Whole-pixel corners of a box grown by ``padding`` of its side on each side, inside the image."""
    x1, y1, x2, y2 = box
    grow_x, grow_y = (x2 - x1) * padding, (y2 - y1) * padding
    left, top = max(0, int(x1 - grow_x)), max(0, int(y1 - grow_y))
    right, bottom = min(width, int(x2 + grow_x + 0.999999)), min(height, int(y2 + grow_y + 0.999999))
    return left, top, right, bottom


def squared(corners: Corners, width: int, height: int) -> Corners:
    """Corners grown along the shorter side until they are a square, or reach both ends of the image there.

    What is added is the garment's surroundings instead of the white that a network's square input would be padded with.
    """
    left, top, right, bottom = corners
    side = max(right - left, bottom - top)
    left, right = _grown(left, right, side, width)
    top, bottom = _grown(top, bottom, side, height)
    return left, top, right, bottom


def _grown(low: int, high: int, side: int, limit: int) -> tuple[int, int]:
    """The span ``low``..``high`` grown to ``side`` about its middle, moved inside 0..``limit``."""
    side = min(side, limit)
    start = min(max(0, low - (side - (high - low)) // 2), limit - side)
    return start, start + side
