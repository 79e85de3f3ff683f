"""Lines of YOLO label files: ``class cx cy w h``, the last four as shares of the image's width and height."""

from pathlib import Path

from stages.contracts.ledger import Ledger
from stages.core.errors import StageError, shown
from stages.ingest.reading import Reading, box_row, numbers

TOLERANCE = 1e-3  # what rounding may put outside 0..1; more than that is another format


def read_labels(path: Path, key: str, image_id: str, names: list[str], ledger: Ledger, reading: Reading) -> None:
    """Add the boxes of one label file to ``reading``; lines of another form are rejected as malformed_box.

    Args:
        path: the label file; empty lines count for nothing.
        key: how rejects name the file; the line's number follows.
        names: class names by number.
    """
    for number, line in _lines(path):
        ledger.rows_in += 1
        class_number, corners, problem = parse_line(line, len(names))
        if problem:
            ledger.reject(f"{key}:{number}", "malformed_box", f"{problem}: {line[:120]}")
            continue
        object_id = f"{image_id}:{number}"
        reading.objects.append(box_row(object_id, image_id, names[class_number], corners))
        reading.units[object_id] = "share"


def parse_line(line: str, classes: int) -> tuple[int, list[float], str]:
    """(class number, [x1, y1, x2, y2] as shares, "") of a line, or (0, [], what is wrong with it)."""
    fields = line.split()
    values = numbers(fields, 5)
    if values is None:
        return 0, [], f"{len(fields)} fields, expected 5 numbers"
    label, cx, cy, width, height = values
    if not label.is_integer() or not 0 <= label < classes:
        return 0, [], f"class {fields[0]}, expected 0 to {classes - 1}"
    if any(not -TOLERANCE <= value <= 1 + TOLERANCE for value in values[1:]):
        return 0, [], "a value outside 0 to 1"
    return int(label), [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2], ""


def reject_labels(path: Path, key: str, detail: str, ledger: Ledger) -> None:
    """Put every line of a label file on record as rejected with its image."""
    for number, _ in _lines(path):
        ledger.rows_in += 1
        ledger.reject(f"{key}:{number}", "image_rejected", detail)


def _lines(path: Path) -> list[tuple[int, str]]:
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def class_names(path: Path) -> list[str]:
    """The names in a classes.txt, one a line.

    Raises:
        StageError: when it names nothing, or a class twice.
    """
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names or len(set(names)) < len(names):
        raise StageError(f"{path}: found {shown(names)}; expected one class name a line, each once. Correct the file.")
    return names
