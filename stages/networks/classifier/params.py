"""Section ``classifier`` of params.yaml."""

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from stages.contracts.images import Fit
from stages.core.errors import shown
from stages.core.params import LowHigh, Section, Seed, Share
from stages.learning.augment import GeometryParams
from stages.networks.backbones.backbones import Pooling

DetectorClass = Literal["none", "scalar", "onehot"]
MissingLabels = Literal["masked", "as_class"]
Quality = Annotated[int, Field(ge=1, le=100)]  # of a JPEG


class AugmentParams(Section):
    """Photometric augmentation, probability of each change and how far it goes (the published table); then geometry."""

    blur: Share
    blur_sigma: Annotated[tuple[PositiveFloat, PositiveFloat], LowHigh]
    brightness: Share
    contrast: Share
    factor: Annotated[tuple[NonNegativeFloat, NonNegativeFloat], LowHigh]
    jpeg: Share
    jpeg_quality: Annotated[tuple[Quality, Quality], LowHigh]
    geometry: GeometryParams


class ClassifierParams(Section):
    """Section ``classifier``."""

    heads: list[str] = Field(min_length=1)
    image_size: int = Field(gt=0)
    fit: Fit
    detector_class: DetectorClass
    pooling: Pooling
    beside: list[str]
    standardise: bool
    color_heads: list[str]
    projection: int = Field(gt=0)
    hidden: list[int] = Field(min_length=1)
    batch_norm: bool
    dropout: float = Field(ge=0, lt=1)
    negative_slope: float = Field(ge=0)
    freeze_backbone: bool
    cached_views: int = Field(ge=0)
    focal_share: Share
    focal_gamma: float = Field(ge=0)
    class_weights: bool
    label_smoothing: float = Field(ge=0, lt=1)
    missing_labels: MissingLabels
    epochs: int = Field(gt=0)
    warmup_epochs: float = Field(ge=0)
    average: float = Field(ge=0, lt=1)
    keep: Literal["best", "last"]
    batch: int = Field(gt=1)
    interleave: Literal["batches", "rows"]
    learning_rate: float = Field(gt=0)
    backbone_learning_rate: float = Field(ge=0)
    weight_decay: float = Field(ge=0)
    augment: AugmentParams
    seed: Seed

    @model_validator(mode="after")
    def _colors_exist(self) -> Self:
        if unknown := [head for head in self.color_heads if head not in self.heads]:
            raise ValueError(f"color_heads: {shown(unknown)} is not among heads ({shown(self.heads)})")
        if self.color_heads and self.pooling != "stages_colors":
            raise ValueError(f"color_heads needs pooling: stages_colors, found {self.pooling}")
        return self

    @model_validator(mode="after")
    def _only_frozen_features_last(self) -> Self:
        if self.cached_views and not self.freeze_backbone:
            raise ValueError("cached_views computes features once; they change unless freeze_backbone is true")
        return self
