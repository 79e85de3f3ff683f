"""A benchmark of pictures whose halves are two grays, and one of plain colors."""

import json
import sys
from argparse import Namespace
from itertools import count
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from mean_color import EXACT, colors_project
from PIL import Image
from scoring import score_encoders

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.retrieval import embed
from stages.retrieval.embedding import EmbedParams
from stages.retrieval.metrics import EvaluateParams

__all__ = ["colors_project"]


@pytest.fixture
def sides(tmp_path, monkeypatch):
    """``run(encoder, queries, gallery, flip, kind)``: embed and evaluate benchmark ``sides``; its vectors and its figures.

    Rows are (id, item, grays of the picture's left and right half, or None where nothing was detected).
    """
    monkeypatch.chdir(tmp_path)
    numbers = count()

    def halves(left, right):
        array = np.full((32, 32, 3), left, np.uint8)
        array[:, 16:] = right
        return encode_jpeg(Image.fromarray(array))

    def run(encoder, queries, gallery, flip=False, kind="wardrobe"):
        folder = tmp_path / "benchmarks" / "sides"
        for part, rows in (("queries", queries), ("gallery", gallery)):
            cells = [(row_id, item, "top", "top", grays and halves(*grays), None) for row_id, item, grays in rows]
            write_rows(
                folder / f"{part}.parquet", BENCHMARK, [dict(zip(BENCHMARK.names, row, strict=True)) for row in cells]
            )
        (folder / "benchmark.json").write_text(json.dumps({"kind": kind}))
        module = ModuleType("stages.networks.load")
        module.load_encoder = lambda folder, runtime: encoder
        monkeypatch.setitem(sys.modules, "stages.networks.load", module)
        (tmp_path / "models/e").mkdir(parents=True, exist_ok=True)
        (tmp_path / "models/e/weights").write_text(f"{encoder!r} {next(numbers)}")  # another encoder each time
        args = Namespace(benchmarks=tmp_path / "benchmarks", models=tmp_path / "models", out=tmp_path / "vectors")
        lists = {"encoders": ["e"], "benchmarks": ["sides"]}
        params = EmbedParams(batch=1, flip=flip)
        embed.main(args, SimpleNamespace(embed=params, search=EXACT, runtime=None, **lists))
        fields = {"ks": [1], "bootstrap_samples": 5, "seed": 0, "memory_mb": 64}
        score_encoders(tmp_path, ["e"], ["sides"], EvaluateParams.model_validate(fields))
        return tmp_path / "vectors/e", json.loads((tmp_path / "report/e.json").read_text())["sides"]

    return run
