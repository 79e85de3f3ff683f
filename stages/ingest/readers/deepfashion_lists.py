"""List files and image folders of DeepFashion, which the trees of its benchmarks share.

A list file starts with the number of its rows and a header, then has one row for each image, padded with spaces. Images
are listed from the folder: a name in a list chooses one of these files and never opens another.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.files import read_text
from stages.ingest import lookup
from stages.ingest.files import Tree
from stages.ingest.reading import ImageFile, Reading, Request, box_row, numbers

log = logging.getLogger(__name__)

FOLDERS = ("Img/img", "img", "Img/img_highres", "img_highres")  # the first existing one is read
LAYERS = {"1": "upper", "2": "lower", "3": "full"}  # upstream's clothes_type
PARTITIONS = tuple(f"{folder}list_eval_partition.txt" for folder in ("Eval/", "Anno/", ""))


@dataclass(frozen=True)
class Images:
    """Image files of a tree.

    Attributes:
        folder: of the images, below the tree's root.
        files: the images below it.
    """

    folder: str
    files: lookup.Images

    @property
    def paths(self) -> dict[str, Path]:
        """Path below that folder without suffix -> file."""
        return self.files.paths

    @property
    def high_resolution(self) -> bool:
        """Whether these are other pictures than those of upstream's boxes."""
        return self.folder.endswith("img_highres")

    def match(self, name: str) -> lookup.Match:
        """Look up a list's name ``img/<path>.jpg``: its key in ``paths``, or the reason why there is none."""
        segments = name.replace("\\", "/").split("/")
        if segments[0] in (self.folder.rsplit("/", 1)[-1], "img", "img_highres"):
            segments = segments[1:]
        match = self.files.find("/".join(segments))
        return match if match.reason != "missing_image" else lookup.Match("", match.reason, name)

    def find(self, name: str) -> str | None:
        """The key in ``paths`` of a list's name ``img/<path>.jpg``; None: no such file."""
        return self.match(name).image_id or None


def list_images(
    request: Request, expected: str, renamed: dict[str, str] | None = None, folders: tuple[str, ...] = FOLDERS
) -> Images:
    """The images of a tree, which are the rows of its ``images`` ledger.

    Args:
        request: of the reader.
        expected: description of the tree, for the message when there is no image folder.
        renamed: start of a path on disk -> its name in the lists.
        folders: candidates; the first existing one is read.

    Raises:
        StageError: none of ``folders`` exists.
    """
    folder = next((name for name in folders if (request.root / name).is_dir()), None)
    if folder is None:
        present = shown(path.name for path in request.root.iterdir())
        raise StageError(
            f"source {request.source}: no image folder in {request.root} (looked for {', '.join(folders)}). Expected "
            f"{expected}. Found there: {present}. Unpack the images there."
        )
    # A double click unpacks an archive into a folder of its name.
    while (request.root / folder / Path(folder).name).is_dir():
        folder = f"{folder}/{Path(folder).name}"
    request.account.note("read from", {"images": folder})
    return Images(folder, request.files.images(request.root / folder, renamed))


def reject_unnamed(request: Request, images: Images, named: set[str]) -> None:
    """Record every image in the ledger, and images that no list names as rejected."""
    ledger = request.account.ledger("images")
    ledger.rows_in += len(images.paths)
    for key in sorted(images.paths.keys() - named):
        ledger.reject(f"{images.folder}/{key}", "no_annotation")
    images.files.reject_rest(ledger, images.paths, f"{images.folder}/")


def find_list(tree: Tree, *names: str) -> Path | None:
    """The first of ``names`` that is a file below the root."""
    path = next((tree.root / name for name in names if (tree.root / name).is_file()), None)
    return path and tree.take(path)


def need_list(request: Request, expected: str, *names: str) -> Path:
    """The first of ``names`` that exists.

    Raises:
        StageError: none exists.
    """
    path = find_list(request.files, *names)
    if path is None:
        raise StageError(
            f"source {request.source}: no {Path(names[0]).name} in {request.root} (looked for {', '.join(names)}). "
            f"Expected {expected}."
        )
    return path


def text_lines(path: Path) -> list[str]:
    """The lines of a text file with any line endings.

    Raises:
        StageError: it is not text in UTF-8.
    """
    try:
        text = read_text(path)
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not text in UTF-8 ({error}). Download it again.") from None
    # Not splitlines: it also cuts at separators that a damaged line may hold.
    # DOS ends a text with a control character of its own.
    return text.rstrip("\x1a").replace("\r\n", "\n").replace("\r", "\n").split("\n")


def list_rows(request: Request, path: Path, header: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """Rows of a list file as (``file:line``, fields); an empty ``header``: the file only has a count.

    A wrong count is noted in the account and logged, as the file may be incomplete.

    Raises:
        StageError: the file does not start with the count and the header.
    """
    lines = text_lines(path)
    stated = rows_stated(path, lines[0], lines[1] if len(lines) > 1 else "", header)
    first = 2 if header else 1
    rows = [
        (f"{path.name}:{number}", line.split())
        for number, line in enumerate(lines[first:], start=first + 1)
        if line.strip()
    ]
    compare_rows(request, path, len(rows), stated)
    return rows


def rows_stated(path: Path, first: str, second: str, header: tuple[str, ...]) -> int:
    """The number of rows in a list file's first line; the second line must be the header, if one is expected.

    Raises:
        StageError: one of them is something else.
    """
    if not first.strip().isdecimal():
        raise StageError(f"{path}, line 1: found {first[:80]!r}, expected the number of rows. Download the file again.")
    if header and tuple(second.split()) != header:
        actual = " ".join(second.split())[:120]
        raise StageError(f"{path}, line 2: found {actual!r}, expected {' '.join(header)!r}. Download it again.")
    return int(first.strip())


def compare_rows(request: Request, path: Path, rows: int, stated: int) -> None:
    """Note the number of rows of a list file and its count; warn if they differ."""
    request.account.note(path.name, {"rows": rows, "rows that line 1 says": stated})
    if stated != rows:
        log.warning(
            f"{path}: line 1 says {stated} rows, there are {rows}. They are read; if the file is "
            "incomplete, download it again."
        )


def partition_rows(request: Request, expected: str, header: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """``list_rows`` of list_eval_partition.txt, in any folder where releases have it.

    Raises:
        StageError: it is missing, or does not start like upstream's.
    """
    return list_rows(request, need_list(request, expected, *PARTITIONS), header)


def warn_missing(request: Request, what: str, name: str, effect: str) -> None:
    """Warn and note that an optional list is missing."""
    request.account.note(name, {"missing": effect})
    log.warning(f"source {request.source}: no {name} in {request.root}, so {effect}. Expected {what}.")


def status_counts(request: Request, name: str, present: dict[str, int], missing: dict[str, int]) -> None:
    """Note the numbers of rows with and without an image for each status."""
    counts = {status: count for status, count in present.items() if count}
    counts |= {f"{status} without image": count for status, count in missing.items() if count}
    request.account.note(name, counts)


def read_boxes(
    request: Request,
    reading: Reading,
    images: Images,
    expected: str,
    names: Sequence[str],
    columns: tuple[str, ...],
    units: str | None = None,
) -> dict[str, dict[str, str]]:
    """Add an object for each row, one box for each image; class_name is upper, lower or full.

    Without the list, or with other pictures than those of its boxes, images have no boxes, which the account notes.

    Args:
        request: of the reader.
        reading: gets the objects.
        images: of the tree.
        expected: description of the tree, for the warning.
        names: possible paths of the list.
        columns: its header: image_name, clothes_type, perhaps one more, and four corners.
        units: unit of the corners (``box_repair.to_pixels``); None: pixels of Img/img, not of img_highres.

    Returns:
        image_id -> the row's further columns by name.
    """
    path = find_list(request.files, *names)
    foreign = images.high_resolution and units is None
    if path is None or foreign:
        warn_missing(request, expected, "Img/img" if foreign else Path(names[0]).name, "images have no boxes")
        return {}
    ledger = request.account.ledger("objects")
    known: set[str | None] = {image.image_id for image in reading.images}
    further: dict[str, dict[str, str]] = {}
    for key, fields in list_rows(request, path, columns):
        ledger.rows_in += 1
        image_id = images.find(fields[0])
        # The category lists have no column clothes_type.
        typed = "clothes_type" in columns
        box = numbers(fields[-4:])
        if len(fields) != len(columns) or (typed and fields[1] not in LAYERS):
            ledger.reject(key, "malformed_row", " ".join(fields)[:120])
            reading.lost |= {image_id} & known
        elif box is None:
            ledger.reject(key, "malformed_box", " ".join(fields[-4:])[:120])
            reading.lost |= {image_id} & known
        elif image_id not in known or image_id is None:
            ledger.reject(key, images.match(fields[0]).reason or "missing_image", fields[0])
        elif image_id in further:
            ledger.reject(key, "duplicate_row", fields[0])
        else:
            further[image_id] = dict(zip(columns[1:-4], fields[1:-4], strict=True))
            row = box_row(f"{image_id}:1", image_id, LAYERS[fields[1]] if typed else "garment", box)
            reading.objects.append(row)
            if units:
                reading.units[row["object_id"]] = units
    return further


# In upstream's order; its lists refer to them by the numbers 1 to 50.
CATEGORIES = (
    "Anorak", "Blazer", "Blouse", "Bomber", "Button-Down", "Cardigan", "Flannel", "Halter", "Henley", "Hoodie",
    "Jacket", "Jersey", "Parka", "Peacoat", "Poncho", "Sweater", "Tank", "Tee", "Top", "Turtleneck",
    "Capris", "Chinos", "Culottes", "Cutoffs", "Gauchos", "Jeans", "Jeggings", "Jodhpurs", "Joggers", "Leggings",
    "Sarong", "Shorts", "Skirt", "Sweatpants", "Sweatshorts", "Trunks",
    "Caftan", "Cape", "Coat", "Coverup", "Dress", "Jumpsuit", "Kaftan", "Kimono", "Nightdress", "Onesie",
    "Robe", "Romper", "Shirtdress", "Sundress",
)  # fmt: skip
ATTRIBUTE_SEPARATOR = "|"  # of an image's attributes in its row; names have spaces


class ImageRows:
    """Rows of a reading, one for each image."""

    def __init__(self, request: Request, reading: Reading, images: Images) -> None:
        self.request = request
        self.reading = reading
        self.images = images
        self.by_image: dict[str, dict[str, Any]] = {}

    def add(self, key: str, name: str, status: str) -> dict[str, Any] | None:
        """Add an image; its row, without category and attributes, or None if it is rejected.

        Args:
            key: file and line of its name.
            name: ``img/<path>.jpg``.
            status: train, val or test.
        """
        ledger = self.request.account.ledger("items")
        image_id, reason, detail = self.images.match(name)
        if reason:
            ledger.reject(key, reason, detail)
            return None
        if image_id in self.by_image:
            ledger.reject(key, "duplicate_row", name)
            return None
        row = {"item_id": image_id, "image_id": image_id, "status": status, "category": None, "attributes": None}
        self.by_image[image_id] = row
        self.reading.items.append(row)
        self.reading.images.append(ImageFile(image_id, self.images.paths[image_id], status))
        return row


def category_name(text: str, names: tuple[str, ...] = CATEGORIES) -> str | None:
    """The category of a number in a list, from 1; None for other values."""
    return names[int(text) - 1] if text.isdecimal() and 1 <= int(text) <= len(names) else None
