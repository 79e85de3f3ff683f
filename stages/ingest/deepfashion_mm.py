"""DeepFashion-MultiModal: images/*.jpg, labels/shape/shape_anno_all.txt, labels/texture/*_ann.txt.

Every image is an item; its name says which (parsed by the label policies). Images that a label file
lacks keep their row: the label is unknown.
"""

from pathlib import Path

from stages.core.accounts import Ledger
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
    fabrics = _codes(_find(request.root, "fabric_ann.txt"), len(LAYERS), ledger)
    patterns = _codes(_find(request.root, "pattern_ann.txt"), len(LAYERS), ledger)
    shapes = _codes(_find(request.root, "shape_anno_all.txt"), 12, ledger)
    request.account.note(
        "label lines without an image",
        {
            name: len(set(codes) - set(images))
            for name, codes in (("fabric", fabrics), ("pattern", patterns), ("shape", shapes))
        },
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


def _codes(path: Path, count: int, ledger: Ledger) -> dict[str, list[str | None]]:
    """Image stem -> its codes. Lines of another form are counted, and their images stay without the label."""
    codes: dict[str, list[str | None]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) == count + 1 and all(field.isdigit() for field in fields[1:]):
            codes[Path(fields[0]).stem] = list(fields[1:])
        else:
            ledger.repair(f"{path.name}:{number}", f"malformed line of {path.name} ignored", line[:120])
    return codes
