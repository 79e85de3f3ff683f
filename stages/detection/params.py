"""Section ``detector.<name>`` of params.yaml."""

from typing import Any, Literal

from pydantic import Field

from stages.core.params import Section


class DetectorParams(Section):
    """How one detector reads its classes and is trained."""

    classes_table: str
    class_column: str
    superclasses: list[str] = Field(min_length=1)
    unboxed_is_background: bool
    model: str
    weights: Literal["none", "download"]
    image_size: int = Field(gt=0, multiple_of=32)
    epochs: int = Field(gt=0)
    patience: int = Field(ge=0)
    batch: int = Field(gt=0)
    nominal_batch: int = Field(gt=0)
    optimizer: Literal["SGD", "Adam", "AdamW"]
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    cosine: bool
    warmup_epochs: float = Field(ge=0)
    close_mosaic: int = Field(ge=0)
    freeze: int = Field(ge=0)
    augment: dict[str, float]
    seed: int

    def ultralytics(self) -> dict[str, Any]:
        """The arguments that Ultralytics' trainer takes for these params."""
        return {
            "imgsz": self.image_size,
            "epochs": self.epochs,
            "patience": self.patience or self.epochs,
            "batch": self.batch,
            "nbs": self.nominal_batch,
            "optimizer": self.optimizer,
            "lr0": self.learning_rate,
            "momentum": self.momentum,
            "weight_decay": self.weight_decay,
            "cos_lr": self.cosine,
            "warmup_epochs": self.warmup_epochs,
            "close_mosaic": self.close_mosaic,
            "freeze": self.freeze or None,
            "seed": self.seed,
            **self.augment,
        }
