"""Section ``classifier`` of params.yaml."""

from typing import Literal

from pydantic import Field

from stages.core.params import Section
from stages.encoders.backbones import Pooling

DetectorClass = Literal["none", "scalar", "onehot"]


class PhotoParams(Section):
    """Photometric augmentation: probability of each change and how far it goes (the published table)."""

    blur: float = Field(ge=0, le=1)
    blur_sigma: tuple[float, float]
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    factor: tuple[float, float]
    jpeg: float = Field(ge=0, le=1)
    jpeg_quality: tuple[int, int]
    flip: float = Field(ge=0, le=1)


class ClassifierParams(Section):
    """Section ``classifier``."""

    heads: list[str] = Field(min_length=1)
    image_size: int = Field(gt=0)
    detector_class: DetectorClass
    pooling: Pooling
    projection: int = Field(gt=0)
    hidden: list[int] = Field(min_length=1)
    dropout: float = Field(ge=0, lt=1)
    negative_slope: float = Field(ge=0)
    freeze_backbone: bool
    focal_share: float = Field(ge=0, le=1)
    focal_gamma: float = Field(ge=0)
    class_weights: bool
    epochs: int = Field(gt=0)
    batch: int = Field(gt=1)
    interleave: Literal["batches", "rows"]
    learning_rate: float = Field(gt=0)
    backbone_learning_rate: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    augment: PhotoParams
    seed: int
