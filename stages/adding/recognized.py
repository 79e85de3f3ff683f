"""The format that `make add` recognizes a folder as, and what a person chose instead in the profile."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.ingest.files import Tree
from stages.ingest.lookup import Images


@dataclass(frozen=True)
class Chosen:
    """The choices in a profile that a person edited.

    Attributes:
        options: settings of ``ingest.<source>`` other than the reader.
        label_column: of the items; None if the format has a label policy of its own.
    """

    profile: Path
    reader: str
    options: dict[str, Any]
    label_column: str | None


@dataclass
class Recognized:
    """How ingest shall read a folder.

    Attributes:
        root: the source's folder: FOLDER, its parent if the table lies there, or the only folder in FOLDER.
        options: settings of ``ingest.<source>`` other than the reader.
        what: the format in words.
        guesses: (heading, text) on each guessed column of a catalogue, for the report.
        refused: column whose name suggests a split or a label, but that is not used -> the reason in words.
        label_column: of the items; None if the format has a label policy of its own.
        boxes: whether the source has boxes.
        unread: errors of tables next to the photos that could not be read.
        chosen: a person's choices, if they are used.
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
