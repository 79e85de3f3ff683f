"""Section ``benchmark.<name>`` of params.yaml: the kinds and the keys that each needs."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from stages.core.heads import HEADS
from stages.core.params import Section

# kind -> the keys that it needs, apart from kind and source
_PICTURES = ("boxes", "crop")
KEYS: dict[str, tuple[str, ...]] = {
    "wardrobe": ("query_views", "gallery_views", "same_colorway"),
    "category": ("item_column",),
    "inshop": _PICTURES,
    "consumer_to_shop": _PICTURES,
    "pairs": _PICTURES,
    "image_category": (*_PICTURES, "protocol", "min_category_images"),
    "multilabel": _PICTURES,
}
ITEM_COLUMNS = ("superclass", *HEADS)
UPSTREAM = tuple(kind for kind in KEYS if "crop" in KEYS[kind])  # read from an ingested source, not the data set


class CropOptions(Section):
    """How a picture is cropped and stored.

    Attributes:
        padding: share of a box's side added on each side.
        max_side: pixels; longer pictures and crops are scaled down, others keep their bytes or size.
        min_side: pixels; smaller crops are rejected.
        jpeg_quality: of pictures that are encoded again.
    """

    padding: float = Field(ge=0)
    max_side: int = Field(gt=0)
    min_side: int = Field(gt=0)
    jpeg_quality: int = Field(ge=1, le=100)


class DetectionOptions(Section):
    """How boxes are found.

    Attributes:
        detector: name of a trained detector.
        confidence: smallest confidence of a detection.
        overlap: smallest intersection over union of a detection with the annotated item.
        batch: images per forward pass.
    """

    detector: str
    confidence: float = Field(gt=0, lt=1)
    overlap: float = Field(gt=0, le=1)
    batch: int = Field(gt=0)


class BenchmarkParams(Section):
    """One benchmark; it must have every key of its kind, and no key of another kind.

    Only ``boxes: detected`` has the key ``detection``.
    """

    kind: Literal["wardrobe", "category", "inshop", "consumer_to_shop", "pairs", "image_category", "multilabel"]
    source: str | None
    query_views: list[str] = Field(default_factory=list)
    gallery_views: list[str] = Field(default_factory=list)
    same_colorway: bool = False
    item_column: str | None = None
    boxes: Literal["whole", "annotated", "detected"] = "whole"
    crop: CropOptions | None = None
    detection: DetectionOptions | None = None
    protocol: Literal["official", "stratified"] = "official"
    min_category_images: int = Field(default=0, ge=0)

    @field_validator("item_column")
    @classmethod
    def _a_label(cls, value: str | None) -> str | None:
        if value is not None and value not in ITEM_COLUMNS:
            raise ValueError(f"expected one of: {', '.join(ITEM_COLUMNS)}")
        return value

    @model_validator(mode="after")
    def _keys_of_the_kind(self) -> Self:
        given, wanted = self.model_fields_set - {"kind", "source"}, set(KEYS[self.kind])
        if missing := sorted(wanted - given):
            raise ValueError(f"kind {self.kind} needs {', '.join(missing)} as well")
        if surplus := sorted(given - wanted - {"detection"}):
            raise ValueError(f"kind {self.kind} has no {', '.join(surplus)}")
        return self

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "wardrobe" and not (self.source and self.query_views and self.gallery_views):
            raise ValueError("kind wardrobe needs source, query_views and gallery_views")
        if self.kind == "category" and not self.item_column:
            raise ValueError("kind category needs item_column")
        if self.kind in UPSTREAM and not (self.source and self.crop):
            raise ValueError(f"kind {self.kind} needs source and crop")
        if self.boxes == "detected" and (self.kind != "pairs" or self.detection is None):
            raise ValueError("boxes: detected needs detection, and kind pairs")
        if self.boxes != "detected" and self.detection is not None:
            raise ValueError("detection is for boxes: detected alone")
        return self
