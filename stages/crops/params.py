"""Sections ``crops`` and ``dataset`` of params.yaml."""

from typing import Literal

from pydantic import Field, field_validator

from stages.core.params import Section


class CropParams(Section):
    """Section ``crops``: matching labels with boxes, and cropping."""

    boxes: Literal["detectors", "salient"]
    agreement: Literal["required", "ignored"]
    assignment: Literal["each_alone", "one_box_one_item"]
    confidence: float = Field(gt=0, lt=1)
    several: Literal["highest_confidence", "largest", "most_central", "drop"]
    no_detection: Literal["reject", "whole_image", "own_box"]
    padding: float = Field(ge=0)
    shape: Literal["box", "square"]
    background: Literal["photo", "plain"]
    max_side: int = Field(gt=0)
    min_side: int = Field(gt=0)
    jpeg_quality: int = Field(ge=1, le=100)
    batch: int = Field(gt=0)
    shards: int = Field(gt=0)


class DatasetParams(Section):
    """Section ``dataset``: merging and splitting."""

    shares: tuple[float, float, float]
    upstream_splits: list[str]
    group_namespaces: dict[str, str]
    near_hamming: int = Field(ge=0, le=256)
    near_color: float = Field(ge=0)
    shards: int = Field(gt=0)

    @field_validator("shares")
    @classmethod
    def _sum_to_one(cls, shares: tuple[float, float, float]) -> tuple[float, float, float]:
        if min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError("train, val and test shares must be positive and sum to 1")
        return shares
