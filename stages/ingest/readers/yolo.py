"""A standard YOLO directory: data.yaml with the classes and the splits, images/<split>/*.jpg, labels/<split>/*.txt.

In this format an image without a label file shows no object of the classes. Such images are kept as background and
counted.

A line of a label file is ``class cx cy w h``, the last four as shares of the image's width and height; or a class and
the points of a polygon or a rotated box. A split is a folder, a list of images in a text file, or several of them.
"""

import logging
import os
import re
from pathlib import Path
from typing import Any

from stages.contracts.ledger import Ledger
from stages.core.errors import StageError, shown
from stages.core.files import read_text
from stages.ingest.box_repair import around
from stages.ingest.lookup import Images, Match, look_up, path_segments
from stages.ingest.readers.yolo_layout import EXPECTED, check_names, label_folder, read_description
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
        path: the label file; empty lines are skipped.
        key: name of the file in the ledger; the line's number is appended.
        names: class names by number.
        points: the labels are poses: key points follow the box.
    """
    for number, line in _lines(path):
        ledger.rows_in += 1
        class_number, corners, remark = parse_line(line, len(names), points)
        if not corners:
            ledger.reject(f"{key}:{number}", "malformed_box", f"{remark}: {line[:120]}")
            reading.lost.add(image_id)
            continue
        object_id = f"{image_id}:{number}"
        if remark:
            ledger.repair(object_id, remark, line[:120])
        reading.objects.append(box_row(object_id, image_id, names[class_number], corners))
        reading.units[object_id] = "share"


def split_fields(line: str) -> tuple[list[str], bool]:
    """The fields of a line, and whether the line has commas or semicolons.

    If blanks separate five fields or more, a comma inside a field is a decimal point; else it separates fields.
    """
    fields = line.split()
    if not re.search("[,;]", line):
        return fields, False
    if len(fields) < 5:
        fields = re.split(r"[;\s]+" if ";" in line else r"[,\s]+", line)
    return [field.strip(",;").replace(",", ".") for field in fields if field.strip(",;")], True


def parse_line(line: str, classes: int, points: bool = False) -> tuple[int, list[float], str]:
    """(class number, [x1, y1, x2, y2] as shares, repair) of a line, or (0, [], what is wrong with it).

    The repair is ``polygon`` (the box around the points of a polygon or a rotated box), ``commas``, or empty.
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
    """Reject every line of a label file because its image was rejected."""
    for number, _ in _lines(path):
        ledger.rows_in += 1
        ledger.reject(f"{key}:{number}", "image_rejected", detail)


def _lines(path: Path) -> list[tuple[int, str]]:
    text = read_text(path, "replace")
    return [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]


def is_label_file(path: Path) -> bool:
    """Whether a text file looks like a label file: its first line is a class and numbers, or it is empty."""
    first = next((line for _, line in _lines(path)), None)
    fields = split_fields(first)[0] if first else []
    return first is None or (len(fields) >= 5 and numbers(fields, len(fields)) is not None)


SPLITS = ("train", "val", "test")
SPLIT_WORDS = {"train", "training", "val", "valid", "validation", "test", "testing"}
OTHER_NAMES = {"val": ("valid", "validation")}


def read(request: Request) -> Reading:
    """Images and boxes; an image's id is its split and its path below the split's folder, without suffix.

    If data.yaml has train, val and test, they become the splits. Without test, as in most exports, its val becomes test
    and a share of its train becomes val. Without any splits, a hash of the id splits.

    Raises:
        StageError: data.yaml, or a folder or list that it names, is missing or not valid.
    """
    require_folder(request.root, request.source, EXPECTED)
    path, content = read_description(request)
    names = check_names(path, content)
    for split, aliases in OTHER_NAMES.items():
        content[split] = next((content[name] for name in (split, *aliases) if content.get(name)), None)
    splits = [split for split in SPLITS if content.get(split)]
    if "train" not in splits or (path.suffix in (".yaml", ".yml") and "val" not in splits):
        raise StageError(f"{path}: splits found: {shown(splits)}; expected train and val, and test if there is one.")
    reading = Reading()
    reader = _Reader(request, reading, path, content, names)
    places = {split: place for split in splits if (place := reader.places(split)) is not None}
    reader.splits = set(places)
    counts = {split: reader.read_split(split, *place) for split, place in places.items()}
    request.account.note("images without a label file", counts)
    return reading


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
        """Read the images and boxes of a split; return how many images have no label file."""
        unlabeled = 0
        for folder in folders:
            images = self.request.files.images(folder)
            # Several folders of one split may hold the same names.
            before = f"{folder.relative_to(self.request.root).as_posix()}/" if len(folders) > 1 or files else ""
            unlabeled += self._read_images(split, images, f"{split}-{before}")
            images.reject_rest(self.ledger, images.paths, before)
        return unlabeled + self._read_listed(split, files)

    def places(self, split: str) -> tuple[list[Path], dict[str, Path]] | None:
        """The image folders of a split, and the images that its lists name: path below the root -> file.

        None if the test split is missing: Roboflow's data.yaml names one whether it exists or not.

        Raises:
            StageError: a folder or list of another split is missing.
        """
        values = self.content[split] if isinstance(self.content[split], list) else [self.content[split]]
        folders, files = list[Path](), dict[str, Path]()
        for value in values:
            location = self._below(str(value), self.request.root)
            if location is None and split == "test" and len(values) == 1:
                log.warning(f"{self.path}: test is {value!r}, which is not there: read as a set without a test split.")
                return None
            if location is None:
                raise StageError(
                    f"{self.path}: {split} is {value!r}, but there is no such folder or list of images below "
                    f"{self.request.root}. Expected {EXPECTED}."
                )
            if location.is_dir():
                folders += [location] * (location not in folders)
            else:
                self._read_list(location, folders, files)
        return folders, files

    def _below(self, value: str, near: Path) -> Path | None:
        """The file or folder below the root that a path of any machine means: that of its longest end that exists."""
        segments = [segment for segment in path_segments(value)[0] if segment != ".."]
        base = [segment for segment in path_segments(str(self.content.get("path") or ""))[0] if segment != ".."]
        locations = (
            look_up(place, candidate[start:])
            for candidate in (base + segments, segments)
            for start in range(len(candidate) + (not segments))
            # images/ is not what test/images means.
            if not start or candidate[start - 1] not in SPLIT_WORDS or SPLIT_WORDS & set(candidate[start:])
            for place in dict.fromkeys((self.request.root, near))
        )
        return next(filter(None, locations), None)

    def _read_list(self, path: Path, folders: list[Path], files: dict[str, Path]) -> None:
        """Add the images, folders and further lists that a text file names, one path a line."""
        self._lists.add(self.request.files.take(path))
        key = path.relative_to(self.request.root).as_posix()
        for number, line in enumerate(read_text(path, "replace").splitlines(), start=1):
            if not (entry := line.strip().strip("\"'")) or entry.startswith("#"):
                continue
            location = self._below(entry, path.parent)
            if location is not None and location.is_dir():
                folders += [location] * (location not in folders)
            elif location is not None and location.suffix.lower() == ".txt":
                if location not in self._lists:
                    self._read_list(location, folders, files)
            else:
                image = self._image(entry, location)
                if image.image_id:
                    files[image.image_id] = self._all().paths[image.image_id]
                else:
                    self.ledger.rows_in += 1
                    self.ledger.reject(f"{key}:{number}", image.reason, image.detail)

    def _all(self) -> Images:
        """Every image below the root: lists choose from them."""
        if self._every is None:
            self._every = self.request.files.images(self.request.root, take=False)
        return self._every

    def _image(self, entry: str, file: Path | None) -> Match:
        """The image that a line of a list means."""
        if file and (key := self._all().exact(file.relative_to(self.request.root).as_posix())):
            return Match(key)
        segments = [segment for segment in path_segments(entry)[0] if segment != ".."]
        return self._all().find("/" + "/".join(segments))

    def _read_listed(self, split: str, files: dict[str, Path]) -> int:
        """Read the images that lists name; their label files lie where those of a folder would."""
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
            unlabeled += self._read_images(split, images, f"{split}-{before}", complete=False)
        return unlabeled

    def _read_images(self, split: str, images: Images, before: str, complete: bool = True) -> int:
        """Add the images of a folder and their boxes; return how many have no label file.

        Args:
            before: prefix of the ids.
            complete: ``images`` has all images of the folder, so a label file without one has lost its image.
        """
        request, objects = self.request, self.request.account.ledger("objects")
        place = label_folder(images.folder, request.root)
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
        for label, match in rest if complete else []:
            if place == images.folder and not is_label_file(label):
                continue  # a text of another kind among images and labels
            request.files.take(label)
            where = label.relative_to(request.root).as_posix()
            self.ledger.rows_in += 1
            self.ledger.reject(where, match.reason, match.detail if match.reason != "missing_image" else "")
            reject_labels(label, where, match.reason, objects)
        return len(images) - len(pairs)
