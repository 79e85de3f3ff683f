"""Small upstream trees, and what a reader is called with."""

import io
import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from places import TABLES

from stages.contracts.ledger import Account
from stages.ingest import ingest as run
from stages.ingest.reading import IngestParams, Request

VOC = {"annotations": "annotations", "images": "images", "first_pixel": 1}
ZERO_BASED = {"voc": VOC | {"first_pixel": 0}}
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic\x00\x00\x00\x08free" + bytes(400)
CATALOGUE = {
    "table": "images.csv", "images": "images", "suffix": ".jpg", "image_column": "image", "group_column": "sender_id",
    "item_columns": ["label", "kids"], "boxes": None, "boxes_class_column": "superclass", "splits": None,
}  # fmt: skip


def picture(seed: int, size=(64, 48)) -> Image.Image:
    """A picture unlike any other seed's, smooth enough to survive JPEG."""
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.BICUBIC)


def write_image(path: Path, seed: int, size=(64, 48), kind: str = "JPEG", **options) -> None:
    """A picture in a file, whatever the file's name says of its kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    picture(seed, size).save(stream, kind, **options)
    path.write_bytes(stream.getvalue())


def write_text(path: Path, text: str | bytes) -> None:
    """Text exactly as given, line ends included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


def params(reader: str, **changes) -> IngestParams:
    """Section ingest.<source> with small defaults."""
    values = {
        "reader": reader, "shards": 2, "min_side": 16, "max_pixels": 1_000_000, "duplicates": "drop", "near_hamming": 12, "near_color": 8,
        "val_share": 0.1, "voc": VOC if reader == "voc" else None, "shoes": None,
        "catalogue": CATALOGUE if reader == "catalogue" else None,
    }  # fmt: skip
    return IngestParams.model_validate(values | changes)


def upstream_tree(folder: Path) -> SimpleNamespace:
    """Tools to draw an upstream tree below ``root`` (a folder in ``folder``), to read it, and to run ingest on it."""
    root = folder / "raw"
    root.mkdir()
    annotations = folder / "annotations"

    def request_of(reader, **changes):
        return Request("src", root, annotations, TABLES, params(reader, **changes), Account("src"))

    def read(reader, **changes):
        request = request_of(reader, **changes)
        reading = run.READERS[reader](request)
        return reading, {name: ledger.summary() for name, ledger in request.account.ledgers.items()}, request.account

    def stage(reader, out="out", **changes):
        args = Namespace(source="src", raw=root, annotations=annotations, tables=TABLES, out=folder / out)
        run.main(args, SimpleNamespace(ingest=params(reader, **changes)))
        return folder / out

    return SimpleNamespace(
        root=root, annotations=annotations, request=request_of, read=read, stage=stage, picture=picture, catalogue=CATALOGUE,
        image=lambda name, seed=1, **options: write_image(root / name, seed, **options),
        text=lambda name, text: write_text(root / name, text),
        annotation=lambda name, text: write_text(annotations / name, text),
        remove=lambda name: (root / name).unlink(),
    )  # fmt: skip


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Tools to draw an upstream tree below ``tree.root``, to read it, and to run the whole stage on it."""
    monkeypatch.setenv("SEAMLINE_WORKERS", "1")  # starting processes takes seconds; one test asks for two
    return upstream_tree(tmp_path)


def voc_xml(*boxes, size=(64, 48), name="cap", extra=""):
    """A VOC annotation of these boxes."""
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>"
        "</object>" for a, b, c, d in boxes
    )  # fmt: skip
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><filename>x.jpg</filename>{sides}{objects}{extra}</annotation>"


def write_catalogue(tree, names):
    """A CSV that names these images as they stand here."""
    rows = "".join(f"{name},g{number},Top,False\n" for number, name in enumerate(names))
    tree.text("images.csv", f"image,sender_id,label,kids\n{rows}")


def shard_ids(out):
    """Ids of the images that ingest kept, sorted."""
    return sorted(row for path in out.glob("shard-*") for row in pq.read_table(path)["image_id"].to_pylist())


def account(out):
    """What ingest counted."""
    return json.loads((out / "account.json").read_text(encoding="utf-8"))


def boxes(out):
    """Object id -> corners in pixels, of the boxes that ingest kept."""
    rows = pq.read_table(out / "objects.parquet").to_pylist()
    return {row["object_id"]: [round(row[key], 3) for key in ("x1", "y1", "x2", "y2")] for row in rows}
