"""DeepFashion-MultiModal: images/*.jpg, labels/shape/shape_anno_all.txt, labels/texture/*_ann.txt.

Every image is an item; its name says which (parsed by the label policies). Images that a label file
lacks keep their row: the label is unknown.
"""

from pathlib import Path

from stages.contracts.ledger import Ledger
from stages.core.errors import StageError
from stages.ingest.reading import ImageFile, Reading, Request, image_files, require_folder

EXPECTED = "images/*.jpg and labels/{shape,texture}/*.txt"
LAYERS = ("upper", "lower", "outer")


def read(request: Request) -> Reading:
    """Items and their images, with texture and shape codes as upstream wrote them.

    Raises:
        StageError: when the image folder or a label file is missing.
    """
    images = image_files(
        require_folder(request.root / "images", request.source, EXPECTED), request.account.ledger("images")
    )
    ledger = request.account.ledger("items")
    fabrics, patterns, shapes = (
        _codes(_find(request.root, name), count, images, request.account.ledger(table))
        for name, count, table in (
            ("fabric_ann.txt", len(LAYERS), "fabric lines"),
            ("pattern_ann.txt", len(LAYERS), "pattern lines"),
            ("shape_anno_all.txt", 12, "shape lines"),
        )
    )
    reading = Reading()
    ledger.rows_in += len(images)
    request.account.ledger("images").rows_in += len(images)
    for stem, path in images.items():
        row: dict[str, str | None] = {"item_id": stem, "image_id": stem, "file": path.name}
        for name, codes in (("fabric", fabrics), ("pattern", patterns)):
            values = codes.get(stem, [None] * len(LAYERS))
            row |= {f"{name}_{layer}": value for layer, value in zip(LAYERS, values, strict=True)}
        shape = shapes.get(stem)
        row["shape"] = " ".join(shape) if shape else None
        reading.items.append(row)
        reading.images.append(ImageFile(stem, path))
    return reading


def _find(root: Path, name: str) -> Path:
    """A label file in labels/texture, labels/shape, or wherever an older layout put it."""
    found = sorted((root / "labels").rglob(name)) or sorted(root.rglob(name))
    if not found:
        raise StageError(f"{root}: no file {name} in it. Expected {EXPECTED}.")
    return found[0]


def _codes(path: Path, count: int, images: dict[str, Path], ledger: Ledger) -> dict[str, list[str | None]]:
    """Image stem -> its codes, from the first line that names it; every line is in ``ledger``.

    Raises:
        StageError: when the file is not text in UTF-8.
    """
    codes: dict[str, list[str | None]] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise StageError(f"{path}: not text in UTF-8 ({error}). Download it again.") from None
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        ledger.rows_in += 1
        key, stem = f"{path.name}:{number}", Path(fields[0]).stem
        if len(fields) != count + 1 or not all(field.isdecimal() for field in fields[1:]):
            ledger.reject(key, "malformed_row", f"expected a name and {count} numbers: {line[:120]}")
        elif stem in codes:
            ledger.reject(key, "duplicate_row", stem)
        elif stem not in images:
            ledger.reject(key, "missing_image", stem)
        else:
            codes[stem] = list(fields[1:])
    ledger.kept = len(codes)
    return codes
