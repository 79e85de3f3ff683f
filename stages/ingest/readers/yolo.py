"""A standard YOLO directory: data.yaml with the classes and the splits, images/<split>/*.jpg, labels/<split>/*.txt.

An image without a label file shows nothing of the classes: the format means just that. So it stays, and is counted.

A line of a label file is ``class cx cy w h``, the last four as shares of the image's width and height.
"""

from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from stages.contracts.ledger import Ledger
from stages.core.errors import StageError, shown
from stages.core.files import parse_yaml
from stages.ingest.reading import (
    ImageFile,
    Reading,
    Request,
    box_row,
    image_files,
    numbers,
    require_folder,
    upstream_image,
)

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


SPLITS = ("train", "val", "test")
EXPECTED = "data.yaml (names, train, val), images/<split>/*.jpg and labels/<split>/*.txt"


def read(request: Request) -> Reading:
    """Images and boxes; an image's id is split and stem, because names repeat across splits.

    With train, val and test in data.yaml these are our splits. Without test, as in most exports, val is our test and a
    share of train our val.

    Raises:
        StageError: when data.yaml or a folder it names is missing, or it is of another form.
    """
    require_folder(request.root, request.source, EXPECTED)
    path, content = _data_yaml(request.root)
    names = _names(path, content)
    splits = [split for split in SPLITS if content.get(split)]
    if not {"train", "val"} <= set(splits):
        raise StageError(f"{path}: splits found: {shown(splits)}; expected train and val, and test if there is one.")
    reading = Reading()
    unlabelled = dict.fromkeys(splits, 0)
    seen: set[str] = set()
    for split in splits:
        for folder in _folders(request, path, content, split):
            unlabelled[split] += _read_folder(folder, split, "test" in splits, names, seen, request, reading)
    request.account.note("images without a label file", unlabelled)
    return reading


def _data_yaml(root: Path) -> tuple[Path, dict[str, Any]]:
    found = [root / "data.yaml"]
    if not found[0].is_file():
        found = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if len(found) != 1:
        raise StageError(f"{root}: no data.yaml; found {shown(one.name for one in found)}. Expected {EXPECTED}.")
    try:
        content = parse_yaml(found[0].read_text(encoding="utf-8-sig"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StageError(f"{found[0]}: not valid YAML: {' '.join(str(error).split())}. Correct the file.") from None
    if not isinstance(content, dict):
        raise StageError(f"{found[0]}: expected names, train and val, found {type(content).__name__}.")
    return found[0], content


def _names(path: Path, content: dict[str, Any]) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict) and set(names) == set(range(len(names))):
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise StageError(f"{path}: names is {names!r}; expected a list of class names, or 0: name, 1: name, ...")
    return [str(name) for name in names]


def _folders(request: Request, path: Path, content: dict[str, Any], split: str) -> list[Path]:
    """The image folders of a split, below root whatever machine's path the export holds."""
    values = content[split] if isinstance(content[split], list) else [content[split]]
    base = PurePosixPath(str(content.get("path") or ""))
    folders = []
    for value in values:
        inner = [part for part in PurePosixPath(str(value)).parts if part not in ("..", ".", "/")]
        below = [part for part in (base / str(value)).parts if part not in ("..", ".", "/")]
        # The longest end of the path that is a folder here: /home/me/set/images/train is images/train.
        ends = [Path(*parts[start:]) for parts in (below, inner) for start in range(len(parts))]
        found = next((end for end in ends if (request.root / end).is_dir()), None)
        if found is None:
            raise StageError(
                f"{path}: {split} is {value!r}, but there is no such folder below {request.root}. Expected {EXPECTED}; "
                "lists of images in .txt files are not read."
            )
        folders.append(request.root / found)
    return folders


def _labels(folder: Path, root: Path) -> Path:
    """images/train -> labels/train, train/images -> train/labels; beside the images where no part is called images."""
    parts = list(folder.relative_to(root).parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts)


def _read_folder(
    folder: Path, split: str, own_test: bool, names: list[str], seen: set[str], request: Request, reading: Reading
) -> int:
    """Read one image folder and its labels; how many images have no label file."""
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    place = _labels(folder, request.root)
    labels = {file.relative_to(place).with_suffix(""): file for file in sorted(place.rglob("*.txt"))}
    if place == folder:
        labels.pop(Path("classes"), None)
    unlabelled = 0
    for stem, file in image_files(folder, ledger).items():
        ledger.rows_in += 1
        image_id = f"{split}-{stem}"
        label = labels.pop(file.relative_to(folder).with_suffix(""), None)
        key = label.relative_to(request.root).as_posix() if label else ""
        if image_id in seen:  # of another of the split's folders
            ledger.reject(file.relative_to(request.root).as_posix(), "ambiguous_name", image_id)
            if label:
                reject_labels(label, key, "ambiguous_name", objects)
            continue
        seen.add(image_id)
        if own_test:
            reading.images.append(ImageFile(image_id, file, split))
        else:
            reading.images.append(upstream_image(image_id, file, split, image_id, request.params.val_share))
        if label:
            read_labels(label, key, image_id, names, objects, reading)
        else:
            unlabelled += 1
    for label in labels.values():
        key = label.relative_to(request.root).as_posix()
        ledger.rows_in += 1
        ledger.reject(key, "missing_image")
        reject_labels(label, key, "missing_image", objects)
    return unlabelled
