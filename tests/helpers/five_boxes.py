"""Boxes of five superclasses, on three small images and on one without a box."""

from argparse import Namespace
from types import SimpleNamespace

import pytest
import yaml
from PIL import Image
from places import ROOT, TABLES

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import IMAGES, OBJECTS, write_rows, write_shards
from stages.detection import boxes
from stages.detection.params import DetectorParams

FIVE = ["outwear", "bottom", "dress", "top", "vest"]


def params(**changes):
    """Section ``detector.deepfashion2`` with changes."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())["detector"]["deepfashion2"]
    return DetectorParams.model_validate(values | {"superclasses": FIVE} | changes)


def things(*rows):
    """Rows of OBJECTS."""
    names = ("object_id", "image_id", "class_name", "x1", "y1", "x2", "y2")
    return [dict(zip(names, row, strict=True)) | {"pair_id": None, "style": None} for row in rows]


@pytest.fixture
def ingested(tmp_path):
    """Three images with a box, one in each split, and one train image without."""
    jpeg = encode_jpeg(Image.new("RGB", (100, 200), "gray"))
    images = [
        {"image_id": name, "source": "s", "split": split, "group_id": name, "cluster": name, "width": 100, "height": 200, "sha256": "", "bytes": jpeg}
        for name, split in (("a", "train"), ("b", "val"), ("c", "test"), ("empty", "train"))
    ]  # fmt: skip
    write_shards(tmp_path / "ingested", IMAGES, images, "image_id", 2)
    rows = [(f"{name}:1", name, "vest", 10, 20, 30, 60) for name in "abc"] + [("a:2", "a", "skirt", 0, 0, 100, 200)]
    write_rows(tmp_path / "ingested/objects.parquet", OBJECTS, things(*rows))
    return tmp_path / "ingested"


def stage(ingested, **changes):
    """The folder of boxes that stage ``boxes`` writes."""
    args = Namespace(detector="deepfashion2", ingested=ingested, tables=TABLES, out=ingested.parent / "boxes")
    boxes.main(args, SimpleNamespace(detector=params(**changes)))
    return args.out
