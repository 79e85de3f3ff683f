"""Ultralytics' training set with two changes: an epoch depends on its seed alone, and paste augmentation.

Paste augmentation blends annotated garments into other training pictures, as in Dwibedi et al. 2017, "Cut, Paste and
Learn", and Ghiasi et al. 2021, "Simple Copy-Paste", but for sources with boxes and no masks. The pasted piece is the
box's pixels under a rounded mask that fades out beyond the box. So neither the corners of the old background nor a hard
edge reveals a pasted garment, and the box is still its true extent.
"""

import random
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from ultralytics.data.augment import Mosaic
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils.instance import Instances

MOST = 2  # garments pasted on one picture
SIZES = (0.5, 1.2)  # of a pasted garment, relative to its size in its own picture
SMALLEST_SIDE = 8  # pixels: one cell of the finest feature map (stride 8)
FADE = 0.15  # share of the half side over which the mask fades out, beyond the box
ROUNDNESS = 4  # exponent of the mask's superellipse; an ellipse (2) would cut sleeves and hems off
MOST_HIDDEN = 0.7  # a box of which pasted garments hide a larger share is removed


@dataclass(frozen=True)
class Piece:
    """A garment with its surroundings.

    Attributes:
        pixels: uint8 [height, width, 3], the box with a margin of ``FADE``, as far as its picture reaches.
        box: x1, y1, x2, y2 of the garment in ``pixels``.
        label: its class.
    """

    pixels: np.ndarray
    box: tuple[int, int, int, int]
    label: float


def extract_piece(image: np.ndarray, box: np.ndarray, label: float) -> Piece:
    """The garment in ``box`` (x1, y1, x2, y2, pixels of ``image``)."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = (round(float(side)) for side in box)
    x1, y1 = max(min(x1, width - 1), 0), max(min(y1, height - 1), 0)
    x2, y2 = min(max(x2, x1 + 1), width), min(max(y2, y1 + 1), height)
    across, down = (int(FADE * side / 2) + 1 for side in (x2 - x1, y2 - y1))
    left, top = max(x1 - across, 0), max(y1 - down, 0)
    pixels = image[top : min(y2 + down, height), left : min(x2 + across, width)]
    return Piece(pixels, (x1 - left, y1 - top, x2 - left, y2 - top), label)


def soft_mask(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    """Opacity, float32 [height, width]: 1 inside the superellipse of ``box``, fading to 0 beyond it."""
    x1, y1, x2, y2 = box
    across = np.abs((np.arange(width, dtype=np.float32) + 0.5) * 2 - (x1 + x2)) / (x2 - x1)
    down = np.abs((np.arange(height, dtype=np.float32) + 0.5) * 2 - (y1 + y2)) / (y2 - y1)
    radius = (across[None, :] ** ROUNDNESS + down[:, None] ** ROUNDNESS) ** (1 / ROUNDNESS)
    return np.clip(1 - (radius - 1) / FADE, 0, 1).astype(np.float32)


def varied(piece: Piece, width: int, height: int, draw: random.Random) -> Piece | None:
    """The piece at a random size within ``width`` x ``height``, mirrored half of the time; None when too small."""
    own_width, own_height = piece.box[2] - piece.box[0], piece.box[3] - piece.box[1]
    # Two pixels less, because the corners are rounded.
    factor = min(draw.uniform(*SIZES), (width - 2) / own_width, (height - 2) / own_height)
    mirrored = draw.random() < 0.5
    if min(own_width, own_height) * factor < SMALLEST_SIDE:
        return None
    old_height, old_width = piece.pixels.shape[:2]
    new_width, new_height = round(old_width * factor), round(old_height * factor)
    pixels = cv2.resize(piece.pixels, (new_width, new_height), interpolation=cv2.INTER_LINEAR)
    across, down = new_width / old_width, new_height / old_height
    x1, y1, x2, y2 = (round(side * by) for side, by in zip(piece.box, (across, down, across, down), strict=True))
    if mirrored:
        pixels, (x1, x2) = pixels[:, ::-1], (new_width - x2, new_width - x1)
    return Piece(pixels, (x1, y1, x2, y2), piece.label)


def paste(
    image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, pieces: list[Piece], draw: random.Random
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paste each piece at a random place wholly inside the picture, over all earlier ones.

    Args:
        image: uint8 [height, width, 3]; it is not changed.
        boxes: x1, y1, x2, y2 of the picture's garments, [n, 4], pixels.
        labels: their classes [n].
        draw: source of random sizes, mirroring and places.

    Returns:
        the new picture, boxes and labels: first the earlier garments that are visible, then the visible pasted ones.
    """
    image, height, width = image.copy(), *image.shape[:2]
    boxes, labels, layers = list(boxes), list(labels), [0] * len(boxes)
    above = np.zeros((height, width), np.int32)  # the layer that each pixel shows; 0 is the picture itself
    for layer, piece in enumerate(pieces, start=1):
        piece = varied(piece, width, height, draw)
        if piece is None:
            continue
        x1, y1, x2, y2 = piece.box
        left, top = draw.randint(0, width - (x2 - x1)) - x1, draw.randint(0, height - (y2 - y1)) - y1
        _blend(image, above, layer, piece, left, top)
        boxes.append(np.array([x1 + left, y1 + top, x2 + left, y2 + top], float))
        labels.append(piece.label)
        layers.append(layer)
    kept = [row for row in range(len(boxes)) if _hidden(boxes[row], layers[row], above) <= MOST_HIDDEN]
    return image, np.array([boxes[row] for row in kept], float).reshape(-1, 4), np.array([labels[row] for row in kept])


def _blend(image: np.ndarray, above: np.ndarray, layer: int, piece: Piece, left: int, top: int) -> None:
    """Draw the piece with its corner at (left, top); margins outside the picture are clipped."""
    height, width = piece.pixels.shape[:2]
    mask = soft_mask(height, width, piece.box)
    rows = slice(max(top, 0), min(top + height, image.shape[0]))
    columns = slice(max(left, 0), min(left + width, image.shape[1]))
    own = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
    opacity, under = mask[own][..., None], image[rows, columns].astype(np.float32)
    image[rows, columns] = np.rint(under + (piece.pixels[own] - under) * opacity).astype(np.uint8)
    above[rows, columns][mask[own] >= 0.5] = layer


def _hidden(box: np.ndarray, layer: int, above: np.ndarray) -> float:
    """Share of the box's pixels that show a later layer than its own."""
    height, width = above.shape
    x1, y1 = max(int(box[0]), 0), max(int(box[1]), 0)
    x2, y2 = min(max(int(np.ceil(box[2])), x1 + 1), width), min(max(int(np.ceil(box[3])), y1 + 1), height)
    return float((above[y1:y2, x1:x2] > layer).mean()) if x2 > x1 and y2 > y1 else 1.0


CACHED = 1000  # decoded pictures kept in memory, Ultralytics' own limit


class TrainingSet(YOLODataset):
    """Pictures and boxes of the training split.

    Ultralytics' mosaic takes its other three pictures from the last loaded ones, which differ between loader processes
    and are lost when a training is killed. This class draws them from the whole set, as the original mosaic does
    (YOLOv4, Bochkovskiy et al. 2020); loaded pictures are a cache that changes no result.

    Attributes:
        paste: probability that garments of other pictures are pasted on a picture, also on pictures of a mosaic. It is
            passed as Ultralytics' argument ``copy_paste``, whose own transform needs segments and ignores boxes. So it
            ends with the mosaic, ``close_mosaic`` epochs before the end.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_buffer_length = min(self.ni + 1, CACHED)
        self.boxed = [index for index, label in enumerate(self.labels) if len(label["cls"])]

    def build_transforms(self, hyp: Any) -> Any:
        """Ultralytics' pipeline; called again with mosaic and paste 0 when they are closed."""
        self.paste, hyp.copy_paste = hyp.copy_paste, 0.0
        transforms = super().build_transforms(hyp)
        for transform in transforms.transforms[0].transforms:
            if isinstance(transform, Mosaic):
                transform.buffer_enabled = False
        return transforms

    def get_image_and_label(self, index: int) -> dict[str, Any]:
        """One picture and its boxes for Ultralytics' transforms, with garments pasted on by chance."""
        label = super().get_image_and_label(index)
        if not self.paste or not self.boxed or random.random() >= self.paste:
            return label
        pieces = [self._piece() for _ in range(random.randint(1, MOST))]
        height, width = label["img"].shape[:2]
        corners = _corners(label["instances"].bboxes, width, height)
        # The module draws from the global generator, as all of Ultralytics' augmentations do.
        image, boxes, classes = paste(label["img"], corners, label["cls"][:, 0], pieces, random)  # type: ignore[arg-type]
        label["img"] = image
        label["cls"] = classes.astype(np.float32).reshape(-1, 1)
        none = label["instances"].segments
        label["instances"] = Instances(_shares(boxes, width, height), none, bbox_format="xywh", normalized=True)
        return label

    def _piece(self) -> Piece:
        index = random.choice(self.boxed)
        image = self.load_image(index)[0]
        label = self.labels[index]
        row = random.randrange(len(label["cls"]))
        corners = _corners(label["bboxes"][row : row + 1], image.shape[1], image.shape[0])
        return extract_piece(image, corners[0], float(label["cls"][row, 0]))


def _corners(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Corners in pixels [n, 4] of centers and sizes as shares."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1) * [width, height, width, height]


def _shares(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """The inverse of ``_corners``, in float32 as Ultralytics' labels."""
    low, high = corners[:, :2], corners[:, 2:]
    center_and_size = np.concatenate([(low + high) / 2, high - low], axis=1)
    return (center_and_size / [width, height, width, height]).astype(np.float32)
