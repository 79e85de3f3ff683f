"""DeepFashion2: ``train|validation/{image,annos}``, or the Kaggle mirror, unpacked at any level, with JSON or CSV.

The official release has one JSON for each image. The Kaggle mirror ("original with dataframes") wraps it in two folders
and adds a CSV for each split with one row for each item; some copies lack the JSON.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.files import read_csv
from stages.core.names import plain
from stages.core.parallel import in_processes
from stages.ingest.lookup import Images, path_segments, without_suffix
from stages.ingest.reading import (
    Reading,
    Request,
    box_row,
    numbers,
    require_folder,
    upstream_image,
)
from stages.runner.progress import track

MIRROR = "DeepFashion2/deepfashion2_original_images"
LEVELS = (
    MIRROR,
    "deepfashion2_original_images",
    "DeepFashion2",
    "",
)  # folders to unpack in
TABLES = ("DeepFashion2/img_info_dataframes", "img_info_dataframes")
COLUMNS = ("path", "category_id", "b_box", "style", "pair_id")
CHUNK = 2000  # annotations for one process, about 10 MB; fewer are read without other processes


@dataclass(slots=True)
class Item:
    """One garment; ``key`` is its place, for rejects and messages."""

    name: str
    key: str
    category_id: Any
    style: Any
    box: Any


@dataclass(slots=True)
class Annotation:
    """The garments of an image; ``error``: its file cannot be read; ``taken_by``: shop, user, or not known."""

    stem: str
    key: str
    pair: str = ""
    taken_by: str = ""
    items: list[Item] = field(default_factory=list)
    error: str = ""


def tree_level(root: Path) -> str:
    """The folder of train/ and validation/ below ``root``; empty: ``root`` itself."""
    return next((level for level in LEVELS if (root / level / "train").is_dir()), "")


def find_table(root: Path, split: str) -> Path | None:
    """The mirror's CSV of a split, or None."""
    return next((path for folder in TABLES if (path := root / folder / f"{split}.csv").is_file()), None)


def read_jsons(paths: list[Path], folder: Path, split: str, source: str) -> Iterator[Annotation]:
    """The annotations of a folder in the order of their names, read by processes."""
    chunks = [(split, folder, paths[start : start + CHUNK]) for start in range(0, len(paths), CHUNK)]
    each = (annotation for chunk in in_processes(_read_chunk, chunks) for annotation in chunk)
    return track(each, total=len(paths), desc=f"read {source} {split} (annotations)")


def _read_chunk(chunk: tuple[str, Path, list[Path]]) -> list[Annotation]:
    split, folder, paths = chunk
    return [_read_json(path, folder, split) for path in paths]


def _read_json(path: Path, folder: Path, split: str) -> Annotation:
    name = plain(path.relative_to(folder).as_posix())
    key, stem = f"{split}/annos/{name}", name[: -len(".json")]
    try:
        content = json.loads(path.read_bytes())
        items = sorted((name, value) for name, value in content.items() if name.startswith("item"))
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        return Annotation(stem, key, error=str(error))
    rows = []
    for name, value in items:
        # An item that is no object has no box; the reject then shows its value.
        item = value if isinstance(value, dict) else {"bounding_box": value}
        rows.append(Item(name, f"{key}:{name}", item.get("category_id"), item.get("style"), item.get("bounding_box")))
    pair = content.get("pair_id")
    return Annotation(stem, key, "" if pair is None else str(pair), _source(content.get("source")), rows)


def read_table(path: Path) -> list[Annotation]:
    """The annotations of a CSV in the order of the images' names; an image's items in the order of their rows.

    Rows that name no image come last, as an annotation without a stem.

    Raises:
        StageError: a column is missing, or the file is no CSV.
    """
    csv.field_size_limit(2**31 - 1)  # a field has all segmentations, and Python's limit is 131,072 characters
    by_stem: dict[str, Annotation] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            missing = set(COLUMNS) - set(header)
            if missing:
                raise StageError(
                    f"{path}, line 1: no column {shown(missing)}; it has {shown(header)}. Expected the mirror's "
                    f"{path.name}; or put upstream's annos/*.json next to image/."
                )
            source = header.index("source") if "source" in header else None  # some copies lack it
            places = [header.index(column) for column in COLUMNS]
            for number, row in enumerate(reader, start=1):
                image, category, box, style, pair = (row[place] if place < len(row) else "" for place in places)
                stem = without_suffix(path_segments(image)[0][-1]) if path_segments(image)[0] else ""
                taken_by = _source(row[source]) if source is not None and source < len(row) else ""
                new = Annotation(stem, f"{path.name}:{stem}", str(_whole(pair)), taken_by)
                annotation = by_stem.setdefault(stem, new)
                name = f"item{len(annotation.items) + 1}"
                key = f"{path.name}:row {number}"
                annotation.items.append(Item(name, key, _whole(category), _whole(style), _list(box)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise StageError(f"{path}: not a CSV in UTF-8 ({error}). Download it again.") from None
    return [by_stem[stem] for stem in sorted(by_stem, key=lambda stem: (not stem, stem))]


def _source(value: Any) -> str:
    return value if value in ("shop", "user") else ""


def _whole(text: str) -> int | str:
    """The number in a cell, which pandas writes as 3.0 in columns with gaps; other text unchanged."""
    try:
        value = float(text)
        return int(value) if value.is_integer() else text
    except (ValueError, OverflowError):
        return text


def _list(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


EXPECTED = (
    "train/{image,annos} and validation/{image,annos} with 000001.jpg and 000001.json, "
    "or img_info_dataframes/{train,validation}.csv instead of annos/"
)


def read(request: Request) -> Reading:
    """Images and boxes of train and validation.

    An image's id is split and stem, because names repeat across splits; pair_id is the group. An item is an image;
    its row tells whether a shop or a user took it. The account notes the folders and files read.

    Raises:
        StageError: the folders are missing, or a category_id is not in deepfashion2_classes.csv.
    """
    level = tree_level(request.root)
    root = request.root / level
    table = read_csv(request.tables / "deepfashion2_classes.csv", ["category_id", "category_name"])
    names = {int(row["category_id"]): row["category_name"] for _, row in table}
    reading = Reading()
    ledger = request.account.ledger("images")
    read_from = {"tree": level or "official"}
    for split in ("train", "validation"):
        annotations, read_from[split] = _annotations(request, root, split)
        images = request.files.images(require_folder(root / split / "image", request.source, EXPECTED))
        named: set[str] = set()
        for annotation in annotations:
            _add(annotation, split, images, named, names, request, reading)
        images.reject_rest(ledger, named, f"{split}/image/")
    request.account.note("read from", read_from)
    return reading


def _annotations(request: Request, root: Path, split: str) -> tuple[Iterable[Annotation], str]:
    """A split's annotations and their path: the JSON files if there are any, else the CSV."""
    folder, table = root / split / "annos", find_table(request.root, split)
    jsons = request.files.files(folder, ".json") if folder.is_dir() else []
    if table is not None and not jsons:
        return read_table(request.files.take(table)), table.relative_to(request.root).as_posix()
    require_folder(folder, request.source, EXPECTED)
    return read_jsons(jsons, folder, split, request.source), folder.relative_to(request.root).as_posix()


def _add(
    annotation: Annotation,
    split: str,
    images: Images,
    named: set[str],
    names: dict[int, str],
    request: Request,
    reading: Reading,
) -> None:
    """Add an image with its boxes; ``named`` gets its id, rejected or not."""
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    objects.rows_in += len(annotation.items)
    if not annotation.stem:
        for item in annotation.items:
            objects.reject(item.key, "malformed_row", "the column path is empty")
        return
    ledger.rows_in += 1
    stem, reason, detail = images.find(annotation.stem)
    if stem in named:
        reason, detail = "duplicate_row", stem
    if annotation.error:
        named |= {stem} - {""}
        ledger.reject(annotation.key, "malformed_row", annotation.error)
        return
    if reason:
        looked_for = f"{split}/image/{annotation.stem}.jpg"
        ledger.reject(annotation.key, reason, looked_for if reason == "missing_image" else detail)
        for item in annotation.items:
            objects.reject(item.key, "image_rejected", reason)
        return
    named.add(stem)
    image_id = f"{split}-{stem}"
    for item in annotation.items:
        box = numbers(item.box)
        if box is None:
            objects.reject(item.key, "malformed_box", str(item.box)[:200])
            reading.lost.add(image_id)
            continue
        if not isinstance(item.category_id, int) or item.category_id not in names:
            raise StageError(
                f"{request.root}, {item.key}: category_id {item.category_id!r}; tables/deepfashion2_classes.csv knows "
                f"{shown(names)}. Add the class there, or remove the annotation."
            )
        row = box_row(f"{image_id}:{item.name}", image_id, names[item.category_id], box)
        style = item.style if isinstance(item.style, int) else None
        reading.objects.append(row | {"pair_id": annotation.pair or None, "style": style})
    # Upstream numbers the pairs of train and validation separately.
    group = f"{split}-pair-{annotation.pair}" if annotation.pair else image_id
    reading.images.append(upstream_image(image_id, images.paths[stem], split, group, request.params.val_share))
    request.account.ledger("items").rows_in += 1
    reading.items.append({"item_id": image_id, "image_id": image_id, "taken_by": annotation.taken_by or None})
