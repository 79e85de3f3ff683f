"""Decode, check and encode images; all of it on PIL, whose bytes are the same on every machine."""

import io
import warnings
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import (  # noqa: F401 (open() knows only formats that are loaded)
    AvifImagePlugin,
    Image,
    Jpeg2KImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

Fit = Literal["pad", "cover", "stretch"]
Effect = Callable[[Image.Image], Image.Image]  # a change of an RGB image that keeps its size

# A crop or a repaired image is written once and read many times: above 92 the size doubles for
# differences no network sees; 4:4:4 keeps the color of thin stripes.
JPEG_QUALITY = 92
# With 1, results of 64 pixels are sharper (inshop's vectors turn by 15 degrees); from 1.5 on, pixels differ by a third
# of a gray level.
DRAFT = 1.5

# The formats that PIL may detect in a file, whatever its name. Others are excluded, as some start programs (EPS).
_FORMATS = ("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
# Suffixes of such files, and suffixes of images that the project cannot read. A file with any other suffix is no image.
IMAGE_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp", ".png", ".apng", ".bmp", ".dib", ".webp"),
    *(".tif", ".tiff", ".gif", ".avif", ".avifs", ".jp2", ".j2k", ".jpx", ".jpf", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".heic", ".heif", ".hif", ".heics"),
}
UNREAD_SUFFIXES = {
    *(".jxl", ".svg", ".psd", ".xcf", ".tga", ".pcx", ".ico", ".exr", ".hdr"),
    *(".eps", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"),
}
_EXIF_ORIENTATION = 0x0112
# EXIF orientation -> the operation that turns the image upright. PIL's exif_transpose also rewrites the tags, and fails
# where one of them is damaged (on 707 of 6000 damaged blocks, all of which are read here).
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _open(data: bytes) -> Image.Image:
    """Open an image and read its header. pillow-heif is imported when a phone's HEIC file comes."""
    if data[4:8] == b"ftyp" and "HEIF" not in Image.OPEN:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    return Image.open(io.BytesIO(data), formats=[name for name in _FORMATS if name != "HEIF" or name in Image.OPEN])


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) when the tags cannot be read."""
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:
        return 1


def turned_by(data: bytes) -> int:
    """The EXIF orientation by which ``decode`` turns an image; 1: it is stored upright."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        orientation = _orientation(_open(data))
    return orientation if orientation in _TURNS else 1


class TooManyPixels(ValueError):
    """The header claims more pixels than allowed; nothing was decoded."""


def _loaded(data: bytes, max_pixels: int | None, smallest: bool = False) -> Image.Image:
    """A picture as stored, with its pixels; ``smallest``: of a JPEG an eighth of them in each direction."""
    try:
        image = _open(data)
        if max_pixels is not None and image.width * image.height > max_pixels:
            raise TooManyPixels(f"{image.width}x{image.height}, more than {max_pixels} pixels")
        if smallest:
            image.draft(None, (1, 1))
        image.load()
    except Image.DecompressionBombError as error:
        raise TooManyPixels(str(error)) from None
    except (UnidentifiedImageError, ImportError):
        # PIL names the stream object, whose address differs from run to run. Ultralytics, once imported, tries HEIF
        # on what PIL does not know, without its package.
        raise UnidentifiedImageError("not an image of a kind that is read") from None
    except (OSError, ValueError, SyntaxError):
        raise
    except Exception as error:
        # Damaged files make PIL's plugins raise whatever their parsing stumbles on (struct.error, IndexError, ...).
        raise ValueError(f"not an image ({type(error).__name__}: {error})") from None
    return image


def check(data: bytes, max_pixels: int | None = None) -> tuple[int, int]:
    """(width, height) as stored of a picture that ``decode`` can read; a fifth of the time for a JPEG.

    Raises:
        TooManyPixels, OSError, ValueError, SyntaxError: as ``decode``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _loaded(data, max_pixels, smallest=True)
        return _open(data).size


def decode(data: bytes, max_pixels: int | None = None) -> tuple[Image.Image, list[str]]:
    """Decode an image: upright RGB, and the names of the repairs that it needed.

    Transparent pixels become white, as a shop would show them.

    Args:
        max_pixels: largest width x height that the header may state; PIL's own limit (179 million) holds as
            well.

    Raises:
        TooManyPixels: the image is larger than that.
        OSError, ValueError, SyntaxError: the bytes are no complete image.
    """
    repairs = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL warns of palette transparency, which is handled here
        image = _loaded(data, max_pixels)
        if image.format != "JPEG":
            repairs.append("format")
        turn = _TURNS.get(_orientation(image))
        if turn is not None:
            image = image.transpose(turn)
            repairs.append("exif_rotation")
        if image.mode != "RGB":
            repairs.append("mode")
            if image.mode.startswith("I"):
                # 16-bit gray: PIL's own conversion clips instead of scaling.
                deep = np.asarray(image).astype(np.int64)
                image = Image.fromarray((deep.clip(0, 65535) >> 8).astype(np.uint8)).convert("RGB")
            elif "A" in image.mode or "transparency" in image.info:
                rgba = image.convert("RGBA")
                image = Image.new("RGB", rgba.size, "white")
                image.paste(rgba, mask=rgba.getchannel("A"))
            else:
                image = image.convert("RGB")
    return image, repairs


def encode_jpeg(image: Image.Image, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes without metadata."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling=0)
    return stream.getvalue()


def open_rgb(data: bytes) -> Image.Image:
    """Open an image from a shard; ingest has verified it."""
    image = Image.open(io.BytesIO(data))
    return image if image.mode == "RGB" else image.convert("RGB")


def pixels(data: bytes) -> np.ndarray:
    """uint8 array [height, width, 3] (RGB) of an image from a shard."""
    return np.asarray(open_rgb(data))


def resized(data: bytes, width: int, height: int, fit: Fit = "pad", effect: Effect | None = None) -> Image.Image:
    """An image from a shard at ``width`` x ``height`` pixels.

    ``pad``: the whole image, its proportions kept, centered on white. ``cover``: the image fills the result, its
    proportions kept, and is cropped evenly at both ends of its longer side. ``stretch``: the whole image, its
    proportions not kept. A large JPEG is decoded at a half, a quarter or an eighth of its size, the smallest that is at
    least ``DRAFT`` times as large as the result, and then resized; from 533 to 160 pixels this halves the time.

    PIL's ImageOps.pad and fit resize without ``reducing_gap``: they give other bytes, and need twice the time for
    images much larger than the result.

    Args:
        effect: a change of the image at its own size, before it is resized.
    """
    image = effect(open_rgb(data)) if effect else open_rgb(data)
    full = image.size
    scales = width / full[0], height / full[1]
    if fit != "stretch":
        scales = 2 * ((max if fit == "cover" else min)(scales),)
    if fit == "pad":
        size = max(1, round(full[0] * scales[0])), max(1, round(full[1] * scales[1]))
        box = 0, 0, *full
    else:
        size = width, height
        wide, high = (min(side, round(goal / scale)) for side, goal, scale in zip(full, size, scales, strict=True))
        left, top = (full[0] - wide) // 2, (full[1] - high) // 2
        box = left, top, left + wide, top + high
    # Size of the whole image in the result; None: it is no JPEG, or was decoded already to be converted to RGB.
    goals = (max(1, round(side * scale * DRAFT)) for side, scale in zip(full, scales, strict=True))
    if drafted := image.draft(None, tuple(goals)):
        reduced = drafted[1][2] / full[0]
        box = tuple(side * reduced for side in box)
    shown = image.resize(size, Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    if size == (width, height):
        return shown
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(shown, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas
