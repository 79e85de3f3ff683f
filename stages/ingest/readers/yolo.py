"""A standard YOLO directory: data.yaml with the classes and the splits, images/<split>/*.jpg, labels/<split>/*.txt.

An image without a label file shows nothing of the classes: the format means just that. So it stays, and is counted.

A line of a label file is ``class cx cy w h``, the last four as shares of the image's width and height; or a class and
the points of a polygon or a rotated box. A split is a folder, a list of images in a text file, or several of them.
"""

import logging
import os
import re
from pathlib import Path
from typing import Any

import yaml

from stages.contracts.ledger import Ledger
from stages.core.errors import StageError, shown
from stages.core.files import parse_plain_yaml, read_text
from stages.ingest.box_repair import around
from stages.ingest.lookup import Found, Images, look_up, path_parts
from stages.ingest.readers.folders import SPLIT_FOLDERS
from stages.ingest.reading import (
    ImageFile,
    Reading,
    Request,
    box_row,
    numbers,
    require_folder,
    upstream_image,
)

log = logging.getLogger(__name__)

TOLERANCE = 1e-3  # what rounding may put outside 0..1; more than that is another format
OUTSIDE = 0.5  # how far points of a polygon or a rotated box may lie outside, in sides of the image


def read_labels(
    path: Path, key: str, image_id: str, names: list[str], ledger: Ledger, reading: Reading, points: bool = False
) -> None:
    """Add the boxes of one label file to ``reading``; lines of another form are rejected as malformed_box.

    Args:
        path: the label file; empty lines count for nothing.
        key: how rejects name the file; the line's number follows.
        names: class names by number.
        points: the labels are poses, whose key points follow the box.
    """
    for number, line in _lines(path):
        ledger.rows_in += 1
        class_number, corners, said = parse_line(line, len(names), points)
        if not corners:
            ledger.reject(f"{key}:{number}", "malformed_box", f"{said}: {line[:120]}")
            reading.lost.add(image_id)
            continue
        object_id = f"{image_id}:{number}"
        if said:
            ledger.repair(object_id, said, line[:120])
        reading.objects.append(box_row(object_id, image_id, names[class_number], corners))
        reading.units[object_id] = "share"


def split_fields(line: str) -> tuple[list[str], bool]:
    """The fields of a line, and whether commas or semicolons stood between or inside them.

    Five fields or more are apart already: a comma that is left inside one is a decimal point.
    """
    fields = line.split()
    if not re.search("[,;]", line):
        return fields, False
    if len(fields) < 5:
        fields = re.split(r"[;\s]+" if ";" in line else r"[,\s]+", line)
    return [field.strip(",;").replace(",", ".") for field in fields if field.strip(",;")], True


def parse_line(line: str, classes: int, points: bool = False) -> tuple[int, list[float], str]:
    """(class number, [x1, y1, x2, y2] as shares, what was repaired) of a line, or (0, [], what is wrong with it).

    A repair is ``polygon``, the box around the points of one or of a rotated box, or ``commas``.
    """
    fields, commas = split_fields(line)
    values = numbers(fields, len(fields))
    if values is None or len(values) < 5:
        return 0, [], f"{len(fields)} fields, expected 5 numbers"
    label, *shares = values
    if not label.is_integer() or not 0 <= label < classes:
        return 0, [], f"class {fields[0]}, expected 0 to {classes - 1}"
    if len(shares) > 4 and not points:
        box = around(shares)
        if box is None:
            return 0, [], f"{len(fields)} fields, expected 5 numbers, or a class and the points of a polygon"
        if any(not -OUTSIDE <= value <= 1 + OUTSIDE for value in shares):
            return 0, [], "a value outside 0 to 1"
        return int(label), box, "polygon"
    cx, cy, width, height = shares[:4]
    if any(not -TOLERANCE <= value <= 1 + TOLERANCE for value in shares[:4]):
        return 0, [], "a value outside 0 to 1"
    corners = [cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2]
    return int(label), corners, "commas" if commas else ""


def reject_labels(path: Path, key: str, detail: str, ledger: Ledger) -> None:
    """Put every line of a label file on record as rejected with its image."""
    for number, _ in _lines(path):
        ledger.rows_in += 1
        ledger.reject(f"{key}:{number}", "image_rejected", detail)


def _lines(path: Path) -> list[tuple[int, str]]:
    text = read_text(path, "replace")
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def is_label_file(path: Path) -> bool:
    """Whether a text file may be a label file by its first line: a class and four numbers or more; or it is empty."""
    first = next((line for _, line in _lines(path)), None)
    fields = split_fields(first)[0] if first else []
    return first is None or (len(fields) >= 5 and numbers(fields, len(fields)) is not None)


def class_names(path: Path) -> list[str]:
    """The names in a classes.txt, one a line.

    Raises:
        StageError: when it names nothing, or a class twice.
    """
    text = read_text(path, "replace")
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names or len(set(names)) < len(names):
        raise StageError(f"{path}: found {shown(names)}; expected one class name a line, each once. Correct the file.")
    return names


SPLITS = ("train", "val", "test")
SPLIT_WORDS = {"train", "training", "val", "valid", "validation", "test", "testing"}
CLASS_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")
OTHER_NAMES = {"val": ("valid", "validation")}
EXPECTED = "data.yaml (names, train, val), images/<split>/*.jpg and labels/<split>/*.txt"


def read(request: Request) -> Reading:
    """Images and boxes; an image's id is its split and its path below the split's folder, without suffix.

    With train, val and test in data.yaml these are our splits. Without test, as in most exports, val is our test and a
    share of train our val. Where a tool wrote no data.yaml and knows no splits, a hash splits.

    Raises:
        StageError: when data.yaml or a folder or list it names is missing, or it is of another form.
    """
    require_folder(request.root, request.source, EXPECTED)
    path, content = _description(request)
    names = _names(path, content)
    for split, others in OTHER_NAMES.items():
        content[split] = next((content[name] for name in (split, *others) if content.get(name)), None)
    splits = [split for split in SPLITS if content.get(split)]
    if "train" not in splits or (path.suffix in (".yaml", ".yml") and "val" not in splits):
        raise StageError(f"{path}: splits found: {shown(splits)}; expected train and val, and test if there is one.")
    reading = Reading()
    reader = _Reader(request, reading, path, content, names)
    places = {split: reader.places(split) for split in splits}
    places = {split: found for split, found in places.items() if found is not None}
    reader.splits = set(places)
    counts = {split: reader.read_split(split, *found) for split, found in places.items()}
    request.account.note("images without a label file", counts)
    return reading


def _description(request: Request) -> tuple[Path, dict[str, Any]]:
    """The file that says what the directory holds, and names, train, val and test as it says them.

    That is data.yaml; or Darknet's obj.data and obj.names, as CVAT writes them; or a list of class names, as labeling
    tools write it, beside images/ or among images and labels in one folder (labelImg), perhaps one a split (Roboflow).
    """
    root = request.root
    yamls = [root / "data.yaml"]
    if not yamls[0].is_file():
        yamls = sorted([*root.glob("*.yaml"), *root.glob("*.yml")])
    if not yamls and (root / "obj.data").is_file():
        lines = read_text(request.files.take(root / "obj.data"), "replace").splitlines()
        pairs = (line.partition("=") for line in lines)
        content: dict[str, Any] = {key.strip(): value.strip() for key, _, value in pairs}
        return root / "obj.data", content | {"names": class_names(request.files.take(root / "obj.names"))}
    if not yamls and (lists := class_lists(root)):
        names = [class_names(request.files.take(path)) for path in lists]
        if any(one != names[0] for one in names):
            raise StageError(f"{root}: {shown(path.relative_to(root) for path in lists)} name different classes.")
        places = {path.parent.name for path in lists}
        where = {SPLIT_FOLDERS[name.lower()]: name for name in sorted(places) if name.lower() in SPLIT_FOLDERS}
        return lists[0], {"names": names[0]} | (where or {"train": "images" if (root / "images").is_dir() else "."})
    if len(yamls) != 1:
        found = shown(one.name for one in yamls or root.iterdir())
        raise StageError(f"{root}: no data.yaml; found {found}. Expected {EXPECTED}.")
    try:
        content = parse_plain_yaml(read_text(request.files.take(yamls[0])))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StageError(f"{yamls[0]}: not valid YAML: {' '.join(str(error).split())}. Correct the file.") from None
    if not isinstance(content, dict):
        raise StageError(f"{yamls[0]}: expected names, train and val, found {type(content).__name__}.")
    return yamls[0], content


def class_lists(root: Path) -> list[Path]:
    """The files that name the classes of a directory without data.yaml: one in it, or one in each folder of it."""
    for places in ([root], sorted(path for path in root.iterdir() if path.is_dir())):
        if found := [path for place in places for name in CLASS_LISTS if (path := place / name).is_file()]:
            return found
    return []


def _names(path: Path, content: dict[str, Any]) -> list[str]:
    names = content.get("names")
    if isinstance(names, dict) and set(names) == {str(number) for number in range(len(names))}:
        names = [names[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise StageError(f"{path}: names is {names!r}; expected a list of class names, or 0: name, 1: name, ...")
    return names


def _label_folder(folder: Path, root: Path) -> Path:
    """images/train -> labels/train, train/images -> train/labels; beside the images where no part is called images."""
    parts = list(folder.relative_to(root).parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return root.joinpath(*parts)


class _Reader:
    """Reads the splits of one directory."""

    def __init__(
        self, request: Request, reading: Reading, path: Path, content: dict[str, Any], names: list[str]
    ) -> None:
        self.request, self.reading, self.path, self.content = request, reading, path, content
        self.names, self.splits = names, set(SPLITS)
        self.points = bool(content.get("kpt_shape"))
        self.ledger = request.account.ledger("images")
        self._lists: set[Path] = set()
        self._every: Images | None = None

    def read_split(self, split: str, folders: list[Path], files: dict[str, Path]) -> int:
        """Read the images and boxes of a split; how many images have no label file."""
        unlabeled = 0
        for folder in folders:
            images = self.request.files.images(folder)
            # Several folders of one split may hold the same names.
            before = f"{folder.relative_to(self.request.root).as_posix()}/" if len(folders) > 1 or files else ""
            unlabeled += self._read_images(split, images, f"{split}-{before}")
            images.reject_rest(self.ledger, images.paths, before)
        return unlabeled + self._read_listed(split, files)

    def places(self, split: str) -> tuple[list[Path], dict[str, Path]] | None:
        """The image folders of a split, and the images that lists name: path below the root -> file.

        None: there is no such test split; Roboflow's data.yaml names one whether there is or not.

        Raises:
            StageError: when there is no such folder or list of another split.
        """
        values = self.content[split] if isinstance(self.content[split], list) else [self.content[split]]
        folders, files = list[Path](), dict[str, Path]()
        for value in values:
            found = self._below(str(value), self.request.root)
            if found is None and split == "test" and len(values) == 1:
                log.warning(f"{self.path}: test is {value!r}, which is not there: read as a set without a test split.")
                return None
            if found is None:
                raise StageError(
                    f"{self.path}: {split} is {value!r}, but there is no such folder or list of images below "
                    f"{self.request.root}. Expected {EXPECTED}."
                )
            if found.is_dir():
                folders += [found] * (found not in folders)
            else:
                self._read_list(found, folders, files)
        return folders, files

    def _below(self, value: str, near: Path) -> Path | None:
        """What a path leads to, below the root whatever machine it was written on: its longest end that is here."""
        parts = [part for part in path_parts(value)[0] if part != ".."]
        base = [part for part in path_parts(str(self.content.get("path") or ""))[0] if part != ".."]
        found = (
            look_up(place, whole[start:])
            for whole in (base + parts, parts)
            for start in range(len(whole) + (not parts))
            # images/ is not what test/images means.
            if not start or whole[start - 1] not in SPLIT_WORDS or SPLIT_WORDS & set(whole[start:])
            for place in dict.fromkeys((self.request.root, near))
        )
        return next(filter(None, found), None)

    def _read_list(self, path: Path, folders: list[Path], files: dict[str, Path]) -> None:
        """Add what a text file names, a path a line: images, folders, and further lists."""
        self._lists.add(self.request.files.take(path))
        key = path.relative_to(self.request.root).as_posix()
        for number, line in enumerate(read_text(path, "replace").splitlines(), start=1):
            if not (entry := line.strip().strip("\"'")) or entry.startswith("#"):
                continue
            found = self._below(entry, path.parent)
            if found is not None and found.is_dir():
                folders += [found] * (found not in folders)
            elif found is not None and found.suffix.lower() == ".txt":
                if found not in self._lists:
                    self._read_list(found, folders, files)
            else:
                image = self._image(entry, found)
                if image.image_id:
                    files[image.image_id] = self._all().paths[image.image_id]
                else:
                    self.ledger.rows_in += 1
                    self.ledger.reject(f"{key}:{number}", image.reason, image.detail)

    def _all(self) -> Images:
        """Every image below the root, for lists to choose from."""
        if self._every is None:
            self._every = self.request.files.images(self.request.root, take=False)
        return self._every

    def _image(self, entry: str, file: Path | None) -> Found:
        """The image that a line of a list means."""
        if file and (key := self._all().exact(file.relative_to(self.request.root).as_posix())):
            return Found(key)
        parts = [part for part in path_parts(entry)[0] if part != ".."]
        return self._all().find("/" + "/".join(parts))

    def _read_listed(self, split: str, files: dict[str, Path]) -> int:
        """Read the images that lists name; a label file is looked for as for a whole folder."""
        unlabeled = 0
        common = self.request.root
        if files:
            parents = {file.parent for file in files.values()}
            common = Path(os.path.commonpath(parents))
        for folder in sorted({file.parent for file in files.values()}):
            images = Images(folder, sorted(file for file in files.values() if file.parent == folder))
            for file in images.paths.values():
                self.request.files.take(file)
            below = folder.relative_to(common).as_posix()
            before = "" if below == "." else f"{below}/"
            unlabeled += self._read_images(split, images, f"{split}-{before}", whole=False)
        return unlabeled

    def _read_images(self, split: str, images: Images, before: str, whole: bool = True) -> int:
        """Add the images of a folder and their boxes; how many have no label file.

        Args:
            before: what an id starts with.
            whole: these are all images of the folder, so that a label file without one has lost its image.
        """
        request, objects = self.request, self.request.account.ledger("objects")
        place = _label_folder(images.folder, request.root)
        place = place if place.is_dir() else images.folder
        files = [file for file in request.files.files(place, ".txt", take=False) if file not in self._lists]
        pairs, rest = images.pairs([(file.relative_to(place).with_suffix("").as_posix(), file) for file in files])
        for key, file in images.paths.items():
            self.ledger.rows_in += 1
            image_id = before + key
            if "val" not in self.splits:
                self.reading.images.append(ImageFile(image_id, file, "test" if split == "test" else ""))
            elif "test" in self.splits:
                self.reading.images.append(ImageFile(image_id, file, split))
            else:
                self.reading.images.append(upstream_image(image_id, file, split, image_id, request.params.val_share))
            if label := pairs.get(key):
                where = request.files.take(label).relative_to(request.root).as_posix()
                read_labels(label, where, image_id, self.names, objects, self.reading, self.points)
        for label, found in rest if whole else []:
            if place == images.folder and not is_label_file(label):
                continue  # a text of another kind among images and labels
            request.files.take(label)
            where = label.relative_to(request.root).as_posix()
            self.ledger.rows_in += 1
            self.ledger.reject(where, found.reason, found.detail if found.reason != "missing_image" else "")
            reject_labels(label, where, found.reason, objects)
        return len(images) - len(pairs)
