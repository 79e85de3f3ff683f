"""The input and output of readers, and the params of a source."""

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from stages.contracts.ledger import Account
from stages.contracts.tables import unit_hash
from stages.core.errors import StageError, shown
from stages.core.names import plain
from stages.core.params import Section
from stages.ingest.files import Tree


class VocOptions(Section):
    """Pascal VOC trees.

    Attributes:
        splits: whether to use upstream's: folders train, val (valid) and test, or lists of names in ImageSets/Main.
    """

    annotations: str
    images: str
    first_pixel: Literal[0, 1]
    splits: bool = False


class ShoesOptions(Section):
    """The size in pixels of the display on which boxes were drawn (larger images were scaled to fit); null: unknown."""

    display_width: int | None = Field(gt=0)
    display_height: int | None = Field(gt=0)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.display_width is None) != (self.display_height is None):
            raise ValueError("display_width and display_height must be given together, or both be null")
        return self

    @property
    def display(self) -> tuple[int, int] | None:
        """(width, height), or None when it is not known."""
        return (self.display_width, self.display_height) if self.display_width and self.display_height else None


class CatalogueOptions(Section):
    """A folder of images and a table; boxes and splits are optional files in the annotations folder or in the source's.

    Without a group column, every image is a group of its own. ``split_column`` holds upstream's splits; the splits file
    overrules it.
    """

    table: str
    images: str
    suffix: str = ""
    image_column: str
    group_column: str | None = None
    item_columns: list[str]
    boxes: str | None = None
    boxes_class_column: str = "label"
    splits: str | None = None
    split_column: str | None = None


class IngestParams(Section):
    """Section ``ingest.<source>``; the last three hold the options of the reader of the same name.

    Attributes:
        reader: name of a module of stages/ingest/readers.
        items_from_boxes: whether every box becomes a labeled item, with the box's class as its ``label``.
        deepest_folder: which folder is the label (reader folders); true: the one that the photo lies in, ``Shirts`` of
            ``Men/Shirts``; false: the outermost one.
    """

    reader: str
    shards: int = Field(gt=0)
    min_side: int = Field(gt=0)
    max_pixels: int = Field(gt=0)
    duplicates: Literal["drop", "keep"]
    near_hamming: int = Field(ge=0, le=256)
    near_color: float = Field(ge=0)
    val_share: float = Field(ge=0, lt=1)
    items_from_boxes: bool = False
    deepest_folder: bool = False
    voc: VocOptions | None = None
    shoes: ShoesOptions | None = None
    catalogue: CatalogueOptions | None = None

    @field_validator("reader")
    @classmethod
    def _a_reader(cls, value: str) -> str:
        from stages.ingest.readers import READERS  # which imports this module

        if value not in READERS:
            raise ValueError(f"expected one of: {', '.join(READERS)}")
        return value


@dataclass
class ImageFile:
    """An image to verify.

    Attributes:
        split: empty: a hash of the group chooses it.
        group: images of one group stay in one split; empty: the image is a group of its own.
        ours: whether a hash chose between train and val, because upstream only says that the image is for training.
    """

    image_id: str
    path: Path
    split: str = ""
    group: str = ""
    ours: bool = False


@dataclass
class Reading:
    """The images, boxes and items of a source. Rows that the reader rejected are in the account.

    Attributes:
        units: object_id -> unit of its corners, if that is not the image's pixels (box_repair.py).
        lost: images with a rejected annotation. If such an image has no other box, it is not background: it may show
            an object.
        stated: image_id -> (width, height) of the image by its annotation.
    """

    images: list[ImageFile] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    stated: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """The input of a reader."""

    source: str
    root: Path
    annotations: Path
    tables: Path
    params: IngestParams
    account: Account

    @cached_property
    def files(self) -> Tree:
        """The files below ``root``; the account names those that the reader does not read."""
        return Tree(self.root)


def upstream_image(image_id: str, path: Path, name: str, group: str, val_share: float) -> ImageFile:
    """An image of upstream's split ``name``: its validation becomes test, a share of its train groups becomes val."""
    if name == "train":
        return ImageFile(image_id, path, "val" if unit_hash(group) < val_share else "train", group, ours=True)
    return ImageFile(image_id, path, "test", group)


def split_image(image_id: str, path: Path, split: str, group: str, own: Collection[str], val_share: float) -> ImageFile:
    """An image of a source with upstream splits ``own``: they are used as they are if they include val and test.

    Args:
        split: of the image; empty: upstream gives none, and a hash chooses it.
    """
    if not split or {"val", "test"} <= set(own):
        return ImageFile(image_id, path, split, group)
    return upstream_image(image_id, path, "train" if split == "train" else "test", group or image_id, val_share)


def require_folder(path: Path, source: str, expected: str) -> Path:
    """The folder itself.

    Raises:
        StageError: it is missing; the message names what is next to it and what was expected.
    """
    if path.is_dir():
        return path
    parent = path.parent
    present = shown(entry.name for entry in parent.iterdir()) if parent.is_dir() else f"no folder {parent} either"
    raise StageError(
        f"source {source}: no folder {path}. Expected {expected}. Found beside it: {present}. "
        f"Unpack or link the download there, or take {source} out of `sources` in params.yaml."
    )


def box_row(object_id: str, image_id: str, class_name: str, box: list[float]) -> dict[str, Any]:
    """A row of the objects table as read, before repair."""
    x1, y1, x2, y2 = box
    return {
        "object_id": object_id,
        "image_id": image_id,
        "class_name": plain(class_name),
        "x1": x1,
        "y1": y1,
        "x2": x2,
        "y2": y2,
        "pair_id": None,
        "style": None,
    }


def numbers(values: Any, count: int = 4) -> list[float] | None:
    """``values`` as ``count`` finite floats; None if they are anything else."""
    if not isinstance(values, (list, tuple)) or len(values) != count:
        return None
    try:
        floats = [float(value) for value in values]
    except (TypeError, ValueError):
        return None
    return floats if all(abs(value) < 1e9 for value in floats) else None
