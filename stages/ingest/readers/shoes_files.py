"""Where the boxes of the shoes data set lie: one JSON for each class, or YOLO label files for each image."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.contracts.ledger import Account
from stages.core.errors import StageError
from stages.core.files import read_json
from stages.ingest.readers.yolo_lines import class_names

FOLDERS = {"training": "train", "validation": "validation"}
EXPECTED = (
    "training/<class>/*.jpg, validation/<class>/*.jpg and annotations_<class>.json, or a YOLO .txt beside each image"
)


@dataclass
class Entries:
    """The entries of one annotation file: image stem -> its boxes as they stand there."""

    name: str
    boxes: dict[str, Any] = field(default_factory=dict)


def class_folders(root: Path) -> set[str]:
    """Classes that have an image folder."""
    return {place.name for folder in FOLDERS for place in (root / folder).glob("*/")} - {"labels"}


def find_jsons(root: Path) -> dict[tuple[str, str], Path]:
    """(folder, class) -> annotations_<class>.json; folder is empty where the file lies in neither of the two.

    Raises:
        StageError: when two files hold the boxes of the same images.
    """
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(root.rglob("annotations_*.json")):
        top = path.relative_to(root).parts[0]
        key = (top if top in FOLDERS else "", path.stem.removeprefix("annotations_"))
        if key in found:
            raise StageError(f"{path}: {found[key]} holds boxes of class {key[1]} as well. Keep one of the two.")
        found[key] = path
    return found


def read_entries(path: Path | None, shoe: str, account: Account) -> Entries:
    """The entries of a JSON; of two names with one stem the second is rejected. Without a file there are none.

    Raises:
        StageError: when the file is not JSON, or not an object.
    """
    if path is None:
        return Entries(f"annotations_{shoe}.json")
    content = read_json(path)
    if not isinstance(content, dict):
        raise StageError(f"{path}: expected an object of image names, found {type(content).__name__}.")
    entries = Entries(path.name)
    for name, boxes in content.items():
        stem = Path(name).stem
        if stem in entries.boxes:
            reject_entry(f"{path.name}:{name}", boxes, "ambiguous_name", account)
        else:
            entries.boxes[stem] = boxes
    return entries


def reject_entry(key: str, boxes: Any, reason: str, account: Account) -> None:
    """Put an entry that has no image of its own on record, and its boxes with it."""
    account.ledger("images").rows_in += 1
    account.ledger("images").reject(key, reason)
    reject_boxes(key, boxes, reason, account)


def reject_boxes(key: str, boxes: Any, reason: str, account: Account) -> None:
    """Put the boxes of an entry on record as rejected with their image."""
    objects = account.ledger("objects")
    for number in range(len(boxes) if isinstance(boxes, list) else 0):
        objects.rows_in += 1
        objects.reject(f"{key}:{number + 1}", "image_rejected", reason)


def find_labels(root: Path, folder: str, shoe: str) -> dict[str, Path]:
    """Image stem -> YOLO label file of a class, beside the images or in a labels folder."""
    places = (
        root / "labels" / folder / shoe,
        root / folder / "labels" / shoe,
        root / folder / shoe / "labels",
        root / folder / shoe,
    )
    paths = [path for place in places for path in sorted(place.glob("*.txt")) if path.name != "classes.txt"]
    return {path.stem: path for path in paths}


def label_names(root: Path, classes: set[str]) -> list[str]:
    """Class names by number: those of classes.txt if there is one, else the classes in their order."""
    found = [path for path in (root / "classes.txt", root / "labels" / "classes.txt") if path.is_file()]
    return class_names(found[0]) if found else sorted(classes)
