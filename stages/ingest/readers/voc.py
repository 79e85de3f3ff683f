"""Pascal VOC trees (the headwear data set): one XML for each image."""

import itertools
import math
import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from stages.core.errors import StageError
from stages.core.files import read_text
from stages.core.names import plain
from stages.ingest.box_repair import around, upright
from stages.ingest.readers.folders import SPLIT_FOLDERS
from stages.ingest.reading import Reading, Request, box_row, numbers, require_folder, split_image

DECLARED = re.compile(rb"""\s*<\?xml[^>]*?encoding=["']([\w.-]+)["'][^>]*\?>""")
CORNERS = ("xmin", "ymin", "xmax", "ymax")
LISTS = "ImageSets/Main"  # of names, one a line, in a file for each split


def own_splits(root: Path, annotations: Path, files: list[Path]) -> dict[Path, str]:
    """XML file -> split, by its folder (train/a.xml) or a list that names it; empty if upstream has no splits.

    Only lists called train, val or test count: VOC's trainval.txt names files of two splits.
    """
    splits = {}
    lists = {
        path.stem: {line.split()[0] for line in read_text(path, "replace").splitlines() if line.strip()}
        for base in {root, annotations.parent if annotations != root else root}
        for path in sorted((base / LISTS).glob("*.txt"))
        if path.stem in SPLIT_FOLDERS
    }
    for file in files:
        folders = [folder.lower() for folder in file.relative_to(root).parts[:-1]]
        named_splits = [SPLIT_FOLDERS[folder] for folder in folders if folder in SPLIT_FOLDERS]
        names = {file.stem, file.relative_to(annotations).with_suffix("").as_posix()}
        named_splits += [SPLIT_FOLDERS[name] for name, named in lists.items() if names & named]
        if named_splits:
            splits[file] = named_splits[-1]
    return splits if "train" in splits.values() and len(set(splits.values())) > 1 else {}


def read(request: Request) -> Reading:
    """Images and boxes; the name of the XML file finds its image, because `<filename>` and `<path>` are often wrong.

    Raises:
        StageError: when a folder is missing or params name none.
    """
    options = request.params.voc
    if options is None:
        raise StageError(f"params.yaml: `ingest.{request.source}.voc` is empty but reader voc needs it.")
    expected = f"{options.annotations}/*.xml and {options.images}/*"
    annotations = require_folder(request.root / options.annotations, request.source, expected)
    images = request.files.images(require_folder(request.root / options.images, request.source, expected))
    reading = Reading()
    ledger, objects = request.account.ledger("images"), request.account.ledger("objects")
    files = request.files.files(annotations, ".xml")
    pairs, rest = images.pairs([(file.relative_to(annotations).with_suffix("").as_posix(), file) for file in files])
    of_file = {file: image_id for image_id, file in pairs.items()}
    why = dict(rest)
    own = own_splits(request.root, annotations, files) if options.splits else {}
    for file in files:
        ledger.rows_in += 1
        key = plain(file.relative_to(annotations).as_posix())
        root = _parse(file, key, request)
        if root is None:
            continue
        elements = root.findall("object")
        objects.rows_in += len(elements)
        if file in why:
            detail = f"no image named {key.rsplit('.', 1)[0]}.* in {options.images}/"
            reason = why[file].reason
            ledger.reject(key, reason, detail if reason == "missing_image" else why[file].detail)
            for number in range(len(elements)):
                objects.reject(f"{key}:{number + 1}", "image_rejected", reason)
            continue
        image_id = of_file[file]
        split, share = own.get(file, ""), request.params.val_share
        reading.images.append(split_image(image_id, images.paths[image_id], split, "", set(own.values()), share))
        size = numbers([root.findtext(f"size/{side}") for side in ("width", "height")], 2)
        if size:
            reading.stated[image_id] = (int(size[0]), int(size[1]))
        for number, element in enumerate(elements, start=1):
            _read_object(f"{image_id}:{number}", image_id, element, options.first_pixel, request, reading)
    images.reject_rest(ledger, pairs)
    return reading


def _parse(path: Path, key: str, request: Request) -> Element | None:
    ledger = request.account.ledger("images")
    try:
        root = _root(path.read_bytes())
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        ledger.reject(key, "malformed_row", f"{type(error).__name__}: {error}")
        return None
    if root.tag != "annotation":  # another format: its objects would be missed, and the image would count as background
        ledger.reject(key, "malformed_row", f"a document <{root.tag}>, expected <annotation>")
        return None
    return root


def _root(data: bytes) -> Element:
    """The root of an XML document, in any encoding: labelImg writes GBK, which Python's parser does not read."""
    try:
        return fromstring(data)
    except ValueError:
        declared = DECLARED.match(data)
        if declared is None:
            raise
        return fromstring(data[declared.end() :].decode(declared[1].decode("ascii")))


def _read_object(
    object_id: str, image_id: str, element: Element, first_pixel: int, request: Request, reading: Reading
) -> None:
    corners: list[Any] = [element.findtext(f"bndbox/{corner}") for corner in CORNERS]
    name = (element.findtext("name") or "").strip()
    ledger = request.account.ledger("objects")
    box = numbers(corners)
    if box is None and (outline := _outline(element)):
        box = around(outline)
        if box is not None:
            ledger.repair(object_id, "polygon", f"{len(outline) // 2} points")
    if box is None or not name:
        ledger.reject(object_id, "malformed_box", f"name {name!r}, corners {corners}")
        reading.lost.add(image_id)
        return
    # Swapped before the shift: 1-based inclusive corners cover the pixels [xmin - 1, xmax).
    x1, y1, x2, y2 = upright(box, object_id, ledger)
    box = [x1 - first_pixel, y1 - first_pixel, x2, y2]
    reading.objects.append(box_row(object_id, image_id, name, box))


def _outline(element: Element) -> list[Any]:
    """Points x, y, x, y, ... of a polygon (LabelMe's pt, or x1, y1, x2, ...) or of roLabelImg's rotated box."""
    if (rotated := element.find("robndbox")) is not None:
        values = numbers([rotated.findtext(name) for name in ("cx", "cy", "w", "h", "angle")], 5)
        if values is None:
            return []
        cx, cy, width, height, angle = values
        across = (math.cos(angle) * width / 2, math.sin(angle) * width / 2)
        down = (-math.sin(angle) * height / 2, math.cos(angle) * height / 2)
        return [
            middle + a * along_width + b * along_height
            for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            for middle, along_width, along_height in zip((cx, cy), across, down, strict=True)
        ]
    if (polygon := element.find("polygon")) is None:
        return []
    if points := polygon.findall("pt"):
        return [text for point in points for text in (point.findtext("x"), point.findtext("y"))]
    names = itertools.takewhile(lambda pair: polygon.find(pair[0]) is not None, _NUMBERED)
    outline = [polygon.findtext(name) for pair in names for name in pair]
    if len(outline) == 4:  # Labelbox: two corners
        x1, y1, x2, y2 = outline
        return [x1, y1, x2, y1, x2, y2, x1, y2]
    return outline


_NUMBERED = [(f"x{number}", f"y{number}") for number in range(1, 1000)]
