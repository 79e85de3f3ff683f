"""Section ``classifier`` of params.yaml."""

from typing import Literal, Self

from pydantic import Field, model_validator

from stages.core.images import Fit
from stages.core.params import Section
from stages.encoders.augment import GeometryParams
from stages.encoders.backbones import Pooling

DetectorClass = Literal["none", "scalar", "onehot"]
MissingLabels = Literal["masked", "as_class"]


class AugmentParams(Section):
    """Photometric augmentation, probability of each change and how far it goes (the published table); then geometry."""

    blur: float = Field(ge=0, le=1)
    blur_sigma: tuple[float, float]
    brightness: float = Field(ge=0, le=1)
    contrast: float = Field(ge=0, le=1)
    factor: tuple[float, float]
    jpeg: float = Field(ge=0, le=1)
    jpeg_quality: tuple[int, int]
    geometry: GeometryParams


class ClassifierParams(Section):
    """Section ``classifier``."""

    heads: list[str] = Field(min_length=1)
    image_size: int = Field(gt=0)
    fit: Fit
    detector_class: DetectorClass
    pooling: Pooling
    projection: int = Field(gt=0)
    hidden: list[int] = Field(min_length=1)
    batch_norm: bool
    dropout: float = Field(ge=0, lt=1)
    negative_slope: float = Field(ge=0)
    freeze_backbone: bool
    cached_views: int = Field(ge=0)
    focal_share: float = Field(ge=0, le=1)
    focal_gamma: float = Field(ge=0)
    class_weights: bool
    label_smoothing: float = Field(ge=0, lt=1)
    missing_labels: MissingLabels
    epochs: int = Field(gt=0)
    warmup_epochs: float = Field(ge=0)
    average: float = Field(ge=0, lt=1)
    batch: int = Field(gt=1)
    interleave: Literal["batches", "rows"]
    learning_rate: float = Field(gt=0)
    backbone_learning_rate: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    augment: AugmentParams
    seed: int

    @model_validator(mode="after")
    def _only_frozen_features_last(self) -> Self:
        if self.cached_views and not self.freeze_backbone:
            raise ValueError("cached_views computes features once; they change unless freeze_backbone is true")
        return self
