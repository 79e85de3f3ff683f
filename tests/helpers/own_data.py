"""A small shop of own data, and ingest and labels run on an added source in this process."""

import csv
import io
import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from stages.contracts.tables import LABELS as SCHEMA
from stages.contracts.tables import read_table
from stages.core.params import section
from stages.ingest import ingest
from stages.ingest.reading import IngestParams
from stages.labels import labels
from stages.labels.params import LabelParams
from stages.profiles.compose import compose

LABELS = ("T-Shirt", "Jeans", "Dress", "Sneakers")


def picture(seed):
    """JPEG bytes of a picture unlike any other seed's."""
    blocks = np.random.default_rng(seed).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(blocks).resize((64, 48), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def shop_rows():
    """(photo, sender, label) of the shop: four photos a sender."""
    return [(f"p{number}.jpg", f"d{number // 4}", LABELS[number % 4]) for number in range(40)]


def save(path, header, rows):
    """Write a CSV."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def run(source):
    """What ingest and labels make of an added source: their accounts, and the (item_id, type, superclass) rows."""
    content = compose(source)
    out = Path("out") / source
    options = section(IngestParams, f"ingest.{source}", content)
    raw, annotations, tables = Path("data/raw") / source, Path("data") / source / "annotations", Path("tables")
    ingest.main(
        Namespace(source=source, raw=raw, annotations=annotations, tables=tables, out=out / "ingested"),
        SimpleNamespace(ingest=options),
    )
    args = Namespace(
        source=source, ingested=out / "ingested", tables=tables, relabel=Path("relabel.csv"), out=out / "labels"
    )
    labels.main(args, SimpleNamespace(labels=section(LabelParams, "labels", content)))
    found = read_table(out / "labels" / "labels.parquet", SCHEMA).to_pylist()
    account = json.loads((out / "ingested" / "account.json").read_text())
    return SimpleNamespace(content=content, account=account, labels=found, out=out)
