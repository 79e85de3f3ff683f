"""Benchmarks over ingested sources that are written the way ingest writes them."""

import io
import json
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.benchmarks import benchmark
from stages.benchmarks.benchmark import BenchmarkParams
from stages.contracts.tables import BENCHMARK, BENCHMARK_TRAIN, IMAGES, OBJECTS, write_rows, write_shards, write_table
from stages.core.params import section
from stages.networks.detector.params import NmsParams

CORNERS = ("x1", "y1", "x2", "y2")


def jpeg(size, seed=0):
    """A smooth picture unlike any other seed's."""
    blocks = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(blocks).resize(size).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def ingested(folder, rows, objects):
    """Write source ``src``.

    Rows have image_id, split and what its items have; size and sha256 are optional. An object is an image_id and a box,
    or a whole row of OBJECTS with ``box``.
    """
    images, items = [], []
    for seed, row in enumerate(map(dict, rows)):
        size = row.pop("size", (40, 60))
        image = dict.fromkeys(IMAGES.names)
        image |= {"image_id": row["image_id"], "source": "src", "split": row.pop("split"), "width": size[0]}
        image |= {"cluster": row.pop("cluster", row["image_id"])}
        image |= {"height": size[1], "sha256": row.pop("sha256", str(seed)), "bytes": jpeg(size, seed)}
        images.append(image)
        items.append({"item_id": row["image_id"]} | row)
    write_shards(folder / "src", IMAGES, images, "image_id", 2)
    boxes = []
    for one in objects:
        row = one if isinstance(one, dict) else {"object_id": f"{one[0]}:1", "image_id": one[0], "box": one[1]}
        corners = dict(zip(CORNERS, row["box"], strict=True))
        boxes.append(dict.fromkeys(OBJECTS.names) | {key: row[key] for key in row if key != "box"} | corners)
    write_rows(folder / "src" / "objects.parquet", OBJECTS, boxes)
    write_table(folder / "src" / "items.parquet", pa.Table.from_pylist(items))
    return folder


@pytest.fixture
def upstream(tmp_path):
    """``build(rows, params, objects)``: the tables of a benchmark over such a source, and its benchmark.json."""

    def build(rows, params, objects=(), detectors=None, boxes=None):
        folder = ingested(tmp_path / "ingested", rows, objects)
        model = detectors / params["detection"]["detector"] if detectors else boxes or folder / params["source"]
        args = Namespace(benchmark="b", images=folder / params["source"], model=model, out=tmp_path / "o")
        options = section(BenchmarkParams, "b", {"b": params})
        benchmark.main(args, SimpleNamespace(benchmark=options, nms=NmsParams(iou=0.65, per_class=True)))
        tables = {part: pq.read_table(tmp_path / "o" / f"{part}.parquet") for part in ("queries", "gallery", "train")}
        assert tables["queries"].schema.equals(BENCHMARK) and tables["gallery"].schema.equals(BENCHMARK)
        assert tables["train"].schema.equals(BENCHMARK_TRAIN)
        content = json.loads((tmp_path / "o" / "benchmark.json").read_text())
        return {part: table.to_pylist() for part, table in tables.items()}, content

    return SimpleNamespace(build=build, jpeg=jpeg)
