"""What `make add` finds a folder to be, and what a person has chosen instead."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.ingest.files import Tree
from stages.ingest.lookup import Images


@dataclass(frozen=True)
class Chosen:
    """What a profile says that a person edited.

    Attributes:
        options: settings of ``ingest.<source>`` beside the reader.
        label_column: of the items; None where the reader's own policy knows.
    """

    profile: Path
    reader: str
    options: dict[str, Any]
    label_column: str | None


@dataclass
class Found:
    """How a folder is read.

    Attributes:
        root: what becomes the source's folder: FOLDER, the one above it where the table lies there, or the only folder
            in it.
        options: settings of ``ingest.<source>`` beside the reader.
        what: the format in words.
        guesses: (what, guess in words) of a catalogue's columns, to be shown.
        refused: columns that are called a split or a label and are not taken -> why, in words.
        label_column: of the items; None where the reader's own policy knows.
        boxes: whether the source has boxes, and the column of their class.
        unread: tables beside the photos that could not be read: what is wrong with each, in words.
        chosen: what a person edited, where that is used.
    """

    reader: str
    root: Path
    what: str
    options: dict[str, Any] = field(default_factory=dict)
    guesses: list[tuple[str, str]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    label_column: str | None = "label"
    boxes: bool = False
    unread: list[str] = field(default_factory=list)
    chosen: Chosen | None = None


def images_of(folder: Path) -> Images:
    """The images below a folder, as readers see them."""
    return Tree(folder).images(folder)
