"""Pascal VOC trees (the headwear data set): one XML for each image."""

from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from stages.core.errors import StageError
from stages.ingest.boxes import upright
from stages.ingest.reading import ImageFile, Reading, Request, box_row, image_files, numbers, require_folder

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def read(request: Request) -> Reading:
    """Images and boxes; an image is found by the XML's stem, because `<filename>` and `<path>` often lie.

    Raises:
        StageError: when a folder is missing or params name none.
    """
    options = request.params.voc
    if options is None:
        raise StageError(f"params.yaml: `ingest.{request.source}.voc` is empty but reader voc needs it.")
    expected = f"{options.annotations}/*.xml and {options.images}/*"
    annotations = require_folder(request.root / options.annotations, request.source, expected)
    images = image_files(
        require_folder(request.root / options.images, request.source, expected), request.account.ledger("images")
    )
    reading = Reading()
    ledger = request.account.ledger("images")
    for path in sorted(annotations.glob("*.xml")):
        ledger.rows_in += 1
        objects = _parse(path, request)
        if objects is None:
            images.pop(path.stem, None)
            continue
        image = images.pop(path.stem, None)
        request.account.ledger("objects").rows_in += len(objects)
        if image is None:
            ledger.reject(path.name, "missing_image", f"no image named {path.stem}.* in {options.images}/")
            for number in range(len(objects)):
                request.account.ledger("objects").reject(f"{path.name}:{number + 1}", "image_rejected", "missing_image")
            continue
        reading.images.append(ImageFile(path.stem, image))
        for number, element in enumerate(objects, start=1):
            _read_object(f"{path.stem}:{number}", path.stem, element, options.first_pixel, request, reading)
    for path in images.values():
        ledger.rows_in += 1
        ledger.reject(path.name, "no_annotation")
    return reading


def _parse(path: Path, request: Request) -> list[Element] | None:
    try:
        return parse(path).getroot().findall("object")
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        request.account.ledger("images").reject(path.name, "malformed_row", f"{type(error).__name__}: {error}")
        return None


def _read_object(
    object_id: str, image_id: str, element: Element, first_pixel: int, request: Request, reading: Reading
) -> None:
    corners: list[Any] = [element.findtext(f"bndbox/{corner}") for corner in CORNERS]
    name = (element.findtext("name") or "").strip()
    box = numbers(corners)
    if box is None or not name:
        request.account.ledger("objects").reject(object_id, "malformed_box", f"name {name!r}, corners {corners}")
        return
    # Swapped before the shift: 1-based inclusive corners cover the pixels [xmin - 1, xmax).
    x1, y1, x2, y2 = upright(box, object_id, request.account.ledger("objects"))
    box = [x1 - first_pixel, y1 - first_pixel, x2, y2]
    reading.objects.append(box_row(object_id, image_id, name, box))
