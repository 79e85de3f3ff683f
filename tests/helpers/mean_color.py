"""Benchmark ``colors``, an encoder whose vectors are mean colors, and the stages run on both."""

import json
import sys
from argparse import Namespace
from types import ModuleType, SimpleNamespace

import pytest
from PIL import Image
from scoring import score_encoders

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.networks.backbones.features import Pixels
from stages.retrieval import embed
from stages.retrieval.embedding import EmbedParams
from stages.retrieval.index import SearchParams
from stages.retrieval.metrics import EvaluateParams

RED, GREEN, BLUE = (200, 20, 20), (20, 200, 20), (20, 20, 200)
PARAMS = EvaluateParams(ks=[1, 2], bootstrap_samples=20, seed=0, memory_mb=64)
EXACT = SearchParams(index="exact", ivf_above=1, recall=0.95)


class MeanColor:
    """Embeds an image as its mean color, so that what is near what is plain to see."""

    metric = "euclidean"
    pixels = Pixels(30, 20)

    def __init__(self):
        self.calls = []

    def embed(self, images, detected_classes):
        self.calls.append(detected_classes)
        return images.float().mean((2, 3)).numpy()


def row(row_id, item, color, category="top", detected="top"):
    data = encode_jpeg(Image.new("RGB", (20, 30), color)) if color else None
    return dict(zip(BENCHMARK.names, (row_id, item, category, detected, data, None), strict=True))


QUERIES = [
    row("q1", "red", RED),
    row("q2", "blue", GREEN, "dress"),  # looks like another item: wrong
    row("q3", "red", None, detected=None),  # missed
    row("q4", "none", RED),  # without a match
]
GALLERY = [row("g1", "red", RED, detected=None), row("g2", "green", GREEN), row("g3", "blue", BLUE, "dress")]


@pytest.fixture
def colors_project(tmp_path, monkeypatch):
    """A project folder with params.yaml, benchmark ``colors`` and an encoder module."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("benchmarks: [colors]\n")
    write_rows(tmp_path / "benchmarks/colors/queries.parquet", BENCHMARK, QUERIES)
    write_rows(tmp_path / "benchmarks/colors/gallery.parquet", BENCHMARK, GALLERY)
    (tmp_path / "benchmarks/colors/benchmark.json").write_text('{"kind": "wardrobe"}')
    module = ModuleType("stages.networks.load")
    module.encoder = MeanColor()
    module.load_encoder = lambda folder, runtime: module.encoder
    monkeypatch.setitem(sys.modules, "stages.networks.load", module)
    return tmp_path, module.encoder


def run_embed(folder, batch=2, encoders=("mean.v1",), benchmarks=("colors",), search=EXACT):
    args = Namespace(benchmarks=folder / "benchmarks", models=folder / "models", out=folder / "vectors")
    lists = {"encoders": list(encoders), "benchmarks": list(benchmarks)}
    params = SimpleNamespace(embed=EmbedParams(batch=batch, flip=False), search=search, runtime=None, **lists)
    return embed.main(args, params)


def run_evaluate(folder, encoders=("mean.v1",)):
    return score_encoders(folder, list(encoders), ["colors"], PARAMS)


def detailed(folder, encoder="mean.v1"):
    return json.loads((folder / f"report/{encoder}.json").read_text())["colors"]
