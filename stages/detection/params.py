"""Section ``detector.<name>`` of params.yaml."""

from typing import Any, Literal

from pydantic import Field, NonNegativeInt

from stages.core.params import Section, Seed, Share


class AugmentParams(Section):
    """Section ``augment``: Ultralytics' arguments, and ``paste`` (stages/detection/training/training_set.py)."""

    mosaic: Share
    hsv_h: Share
    hsv_s: Share
    hsv_v: Share
    fliplr: Share
    degrees: float = Field(ge=0, le=180)
    translate: Share
    scale: Share
    paste: Share


class DetectorParams(Section):
    """Section ``detector.<name>``."""

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
    augment: AugmentParams
    amp: bool
    compile: bool
    devices: list[NonNegativeInt] | None = Field(min_length=1)
    workers: int = Field(ge=0)
    seed: Seed

    def ultralytics(self) -> dict[str, Any]:
        """These params as arguments of Ultralytics' trainer."""
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
            # Read by TrainingSet; Ultralytics' augmentation of that name needs segments.
            **{"copy_paste" if name == "paste" else name: value for name, value in self.augment},
        }

    def hardware(self, where: str) -> dict[str, Any]:
        """Ultralytics' arguments for the hardware: ``where``, or the params' devices if it is a GPU."""
        if not where.startswith("cuda"):
            return {"device": where, "amp": False, "compile": False, "workers": 0}
        devices = where if self.devices is None else ",".join(map(str, self.devices))
        return {"device": devices, "amp": self.amp, "compile": self.compile, "workers": self.workers}
