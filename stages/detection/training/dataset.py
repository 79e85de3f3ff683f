"""Ultralytics' training set, made so that an epoch depends on nothing but its seed, and with the paste augmentation."""

import random
from typing import Any

import numpy as np
from ultralytics.data.augment import Mosaic
from ultralytics.data.dataset import YOLODataset
from ultralytics.utils.instance import Instances

from stages.detection.training.paste import MOST, Piece, cut, paste

CACHED = 1000  # decoded pictures kept in memory, Ultralytics' own limit


class TrainingSet(YOLODataset):
    """Pictures and boxes of the training split.

    Ultralytics' mosaic takes its other three pictures from those loaded last, which a killed training has forgotten,
    and each loader process has others. Here they come from the whole set, as in the original mosaic (YOLOv4,
    Bochkovskiy et al. 2020), and the loaded ones are a cache that changes no result.

    Attributes:
        paste: probability that garments of other pictures are pasted on a picture, alone or as part of a mosaic. It
            comes as Ultralytics' argument ``copy_paste``, whose own transform needs segments and does nothing on
            boxes; so it ends with the mosaic, ``close_mosaic`` epochs before the end.
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
        """One picture and its boxes as Ultralytics' transforms want them, perhaps with garments pasted on."""
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
        return cut(image, corners[0], float(label["cls"][row, 0]))


def _corners(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Corners in pixels [n, 4] of centres and sizes as shares."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1) * [width, height, width, height]


def _shares(corners: np.ndarray, width: int, height: int) -> np.ndarray:
    """The inverse of ``_corners``, float32 as Ultralytics reads labels."""
    low, high = corners[:, :2], corners[:, 2:]
    centre_and_size = np.concatenate([(low + high) / 2, high - low], axis=1)
    return (centre_and_size / [width, height, width, height]).astype(np.float32)
