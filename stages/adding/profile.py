"""The files that `make add` writes: a profile of at most 30 lines, and a table of labels with guessed superclasses.

Edits by hand are kept. The profile carries a checksum of its text; if the text differs from it, the profile is not
written again. Rows of the table keep their superclass; new labels get new rows.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from stages.adding.measure import Measured
from stages.adding.recognized import Chosen, Recognized
from stages.adding.superclasses import Guess, guess
from stages.core.errors import StageError, shown
from stages.core.files import digest
from stages.core.params import load_params
from stages.core.table_rows import TextTable, read_rows
from stages.profiles.text import dumped_short

MARK = "# Written by `make add`, state "
HEADER = """\
{mark}{state}. Edited by hand, it stays as it is; deleted, it is
# written anew. What all own data share is in profiles/own.yaml, what a key means in base.yaml.
"""
COLUMNS = ["superclass", "count", "note"]  # after the label
NO_GARMENT = "no garment: left out"
NOT_KNOWN = "not known: left out until it has a superclass"


def policy_of(recognized: Recognized) -> str:
    """The label policy of a format."""
    return "catalogue" if recognized.label_column else recognized.reader


def content_of(
    source: str, recognized: Recognized, fitted: dict[str, Any], detector: dict[str, Any] | None, salient: bool = False
) -> dict[str, Any]:
    """The values that the profile sets over profiles/own.yaml.

    Args:
        fitted: sections whose values depend on the number of photos.
        detector: section ``detector.<source>``; None: no detector is trained.
        salient: U²-Net-p draws the boxes of photos without one, and cuts the crops where ``fitted`` does not say how.
    """
    labels: dict[str, Any] = {"policies": {source: policy_of(recognized)}}
    if recognized.label_column:
        labels["catalogues"] = {source: {"table": f"{source}_labels.csv", "label_column": recognized.label_column}}
    content: dict[str, Any] = {
        "based_on": "own",
        "sources": [source],
        "detectors": [source] if detector else [],
        "label_sources": [source],
        "benchmarks": [source],
        "ingest": {source: {"reader": recognized.reader, **recognized.options}},
        "labels": labels,
        # One split for detector and encoders: that of ingest.
        "dataset": {"upstream_splits": [source]},
        "benchmark": {source: {"kind": "category", "source": source, "item_column": "type"}},
    }
    if detector:
        content["detector"] = {source: detector}
    if salient:
        content["salient"] = {source: "without_box"}
        # A detector that learned from these boxes cuts worse crops (docs/photos.md). Annotated boxes come before them.
        content["crops"] = {"boxes": "salient", "background": "plain"}
    return content | fitted


def profile_text(content: dict[str, Any]) -> str:
    """The profile as text, with its checksum in the first line."""
    body = dumped_short(content)
    return HEADER.format(mark=MARK, state=digest(body)[:12]) + body


def is_ours(text: str) -> bool:
    """Whether `make add` wrote a profile, edited since or not."""
    return text.startswith(MARK)


def is_edited(text: str) -> bool:
    """Whether a profile differs from the text that was written."""
    body = "".join(text.splitlines(keepends=True)[HEADER.count("\n") :])
    return digest(body)[:12] != text.removeprefix(MARK)[:12]


def chosen_in(path: Path, source: str, text: str) -> Chosen | None:
    """The reader, options and label column in a profile that a person edited; None if nobody did.

    Args:
        text: of the profile.

    Raises:
        StageError: it is no YAML, or has no reader for the source.
    """
    if not is_ours(text) or not is_edited(text):
        return None
    content = load_params(path)
    options = _at(content, "ingest", source)
    reader = options.pop("reader", None)
    if not isinstance(reader, str):
        raise StageError(f"{path}: `ingest.{source}.reader` is missing. Write it, or delete the file to have it anew.")
    label = _at(content, "labels", "catalogues", source).get("label_column")
    return Chosen(path, reader, options, str(label) if label is not None else None)


def _at(content: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return dict(content) if isinstance(content, dict) else {}


def fit(measured: Measured, train: int, recognized: Recognized) -> dict[str, Any]:
    """Sections whose values depend on the number of training items ``train``."""
    steps = 300  # of the classifier's heads, on cached features
    batch = _power(train // 2, 64)
    fitted: dict[str, Any] = {
        "simclr": {"batch": _power(train, 32), "knn_k": min(10, train)},
        "classifier": {"batch": batch, "epochs": min(60, max(30, steps // ceil(train / batch)))},
    }
    if measured.heads != ["type"]:
        fitted["classifier"]["heads"] = measured.heads
    if train < 10:
        fitted["encoder"] = {"defaults": {"validation": {"k": train}}}
    if recognized.boxes:
        # If photos show several garments, a crop must be of the label's own class.
        fitted["crops"] = {"no_detection": "own_box"} | ({"agreement": "required"} if measured.several else {})
    return fitted


def _power(most: int, largest: int) -> int:
    """The largest power of two that is at most ``most`` and ``largest``, and at least 2."""
    size = largest
    while size > max(2, most):
        size //= 2
    return size


def fit_detector(
    source: str, measured: Measured, recognized: Recognized, superclass_of: dict[str, str], known: set[str]
) -> dict[str, Any]:
    """Section ``detector.<source>``: its classes, and epochs for about two thousand training images in all."""
    classes = set(measured.box_classes)
    own = recognized.label_column if not classes <= known else None
    superclasses = {superclass_of.get(name, "") for name in classes} if own else classes
    boxed = max(1, measured.images["train"])
    section = {
        "classes_table": f"{source}_labels.csv" if own else "superclasses.csv",
        "class_column": own or "superclass",
        "superclasses": sorted(superclasses - {""}),
        "epochs": _epochs(boxed),
    }
    # In a YOLO or COCO data set a photo without a box shows no garment; in a catalogue it was not annotated.
    return section | ({"unboxed_is_background": False} if recognized.reader == "catalogue" else {})


def fit_salient_detector(measured: Measured, superclass_of: dict[str, str]) -> dict[str, Any]:
    """Section ``detector.<source>`` for boxes that U²-Net-p draws; their class is the photo's superclass."""
    return {
        "classes_table": "superclasses.csv",
        "class_column": "superclass",
        "superclasses": sorted(set(superclass_of.values()) - {""}),
        "epochs": _epochs(max(1, measured.images["train"])),
        "unboxed_is_background": False,
    }


def _epochs(photos: int) -> int:
    return min(30, max(8, ceil(2000 / photos)))


@dataclass
class LabelTable:
    """A label table as it should be.

    Attributes:
        text: the table as CSV.
        superclass_of: label -> superclass, empty for none.
        guesses: label -> what its words suggest.
        edited: labels whose superclass a person changed.
        same: whether the file has these rows already, in any format.
    """

    text: str
    superclass_of: dict[str, str]
    guesses: dict[str, Guess]
    edited: list[str]
    same: bool = False


def label_table(path: Path, column: str, counts: Counter, synonyms: dict[tuple[str, ...], str]) -> LabelTable:
    """The table that ``path`` should hold: existing rows keep their values, new labels are guessed.

    Args:
        counts: label -> items.

    Raises:
        StageError: the existing table is of another column, and a person chose superclasses in it.
    """
    rows: list[dict[str, str]] = []
    columns, before = [column, *COLUMNS], ""
    if path.is_file():
        existing = read_rows(path, ["superclass"])
        before = _as_csv(existing.columns, [row for _, row in existing.rows])
        if column in existing.columns:
            rows = [row for _, row in existing.rows]
            columns = [*existing.columns, *(name for name in columns if name not in existing.columns)]
        else:
            _refuse_chosen(path, existing, column, synonyms)
    guesses = {label: guess(label, synonyms) for label in {*counts, *(row[column] for row in rows)}}
    edited = [row[column] for row in rows if row["superclass"] != (guesses[row[column]].superclass or "")]
    listed = {row[column] for row in rows}
    for row in rows:
        row["count"] = str(counts[row[column]])
    for label, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
        if label not in listed:
            guessed = guesses[label]
            rows.append(
                {column: label, "superclass": guessed.superclass or "", "count": str(count), "note": note(guessed)}
            )
    text = _as_csv(columns, rows)
    return LabelTable(text, {row[column]: row["superclass"] for row in rows}, guesses, edited, text == before)


def _refuse_chosen(path: Path, table: TextTable, column: str, synonyms: dict[tuple[str, ...], str]) -> None:
    """Refuse to overwrite a table of another column in which a person chose superclasses."""
    foreign = next((name for name in table.columns if name not in COLUMNS), "")
    chosen = [
        row[foreign] for _, row in table.rows if row["superclass"] != (guess(row[foreign], synonyms).superclass or "")
    ]
    if chosen:
        raise StageError(
            f"{path} is of column `{foreign}`, with superclasses that you chose ({shown(chosen, 4)}), and the labels "
            f"now come from `{column}`. Rename the column in its first line, or move the file away to have it "
            "written anew."
        )


def note(guessed: Guess) -> str:
    """The note on a guess in the label table."""
    if guessed.superclass is None:
        return NOT_KNOWN
    if not guessed.superclass:
        return NO_GARMENT
    return "" if guessed.sure else f"guessed from {guessed.word}"


def _as_csv(columns: list[str], rows: Iterable[dict[str, str]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
