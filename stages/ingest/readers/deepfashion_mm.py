"""DeepFashion-MultiModal: images/*.jpg, labels/shape/shape_anno_all.txt, labels/texture/*_ann.txt.

Every image is an item, whose name the label policies parse. Images that are missing in a label file have unknown
labels.
"""

from pathlib import Path

from stages.contracts.ledger import Ledger
from stages.core.errors import StageError
from stages.core.files import read_text
from stages.core.names import plain
from stages.ingest.files import Tree
from stages.ingest.lookup import Images, without_suffix
from stages.ingest.reading import ImageFile, Reading, Request, require_folder

EXPECTED = "images/*.jpg and labels/{shape,texture}/*.txt"
LAYERS = ("upper", "lower", "outer")


def read(request: Request) -> Reading:
    """Items and their images, with upstream's texture and shape codes.

    Raises:
        StageError: the image folder or a label file is missing.
    """
    images = request.files.images(require_folder(request.root / "images", request.source, EXPECTED))
    ledger = request.account.ledger("items")
    fabrics, patterns, shapes = (
        _codes(_find(request.files, name), count, images, request.account.ledger(table))
        for name, count, table in (
            ("fabric_ann.txt", len(LAYERS), "fabric lines"),
            ("pattern_ann.txt", len(LAYERS), "pattern lines"),
            ("shape_anno_all.txt", 12, "shape lines"),
        )
    )
    reading = Reading()
    ledger.rows_in += len(images)
    request.account.ledger("images").rows_in += len(images)
    for stem, path in images.paths.items():
        row: dict[str, str | None] = {"item_id": stem, "image_id": stem, "file": plain(path.name)}
        for name, codes in (("fabric", fabrics), ("pattern", patterns)):
            values = codes.get(stem, [None] * len(LAYERS))
            row |= {f"{name}_{layer}": value for layer, value in zip(LAYERS, values, strict=True)}
        shape = shapes.get(stem)
        row["shape"] = " ".join(shape) if shape else None
        reading.items.append(row)
        reading.images.append(ImageFile(stem, path))
    images.reject_rest(request.account.ledger("images"), images.paths)
    return reading


def _find(files: Tree, name: str) -> Path:
    """A label file in labels/texture, labels/shape, or in another folder of the tree."""
    for folder in (files.root / "labels", files.root):
        files_below = files.files(folder, ".txt", take=False) if folder.is_dir() else []
        if named := [path for path in files_below if path.name.lower() == name]:
            return files.take(named[0])
    raise StageError(f"{files.root}: no file {name} in it. Expected {EXPECTED}.")


def _codes(path: Path, count: int, images: Images, ledger: Ledger) -> dict[str, list[str | None]]:
    """Image stem -> its codes, from the first line that names it; every line is in ``ledger``.

    Raises:
        StageError: the file is not text in UTF-8.
    """
    codes: dict[str, list[str | None]] = {}
    try:
        lines = read_text(path).splitlines()
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not text in UTF-8 ({error}). Download it again.") from None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        ledger.rows_in += 1
        key = f"{path.name}:{number}"
        if len(fields) != count + 1 or not all(field.isdecimal() for field in fields[1:]):
            ledger.reject(key, "malformed_row", f"expected a name and {count} numbers: {line[:120]}")
            continue
        stem, reason, detail = images.find(fields[0])
        if stem in codes:
            ledger.reject(key, "duplicate_row", stem)
        elif reason:
            ledger.reject(key, reason, without_suffix(fields[0]) if reason == "missing_image" else detail)
        else:
            codes[stem] = list(fields[1:])
    ledger.kept = len(codes)
    return codes
