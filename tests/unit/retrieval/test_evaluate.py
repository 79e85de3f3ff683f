"""The evaluator's result on a whole benchmark: what is in it, and what never changes it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scoring import score_encoders

from stages.contracts.images import encode_jpeg
from stages.contracts.tables import BENCHMARK, write_rows
from stages.core.errors import StageError
from stages.retrieval import ranking
from stages.retrieval.metrics import EvaluateParams
from stages.retrieval.metrics import evaluate as score
from stages.retrieval.ranking import Sizes
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import vectors_path, write_vectors

PARAMS = EvaluateParams(ks=[50, 1, 5, 5], bootstrap_samples=30, seed=0, memory_mb=64)


def rows(seed, n, prefix, missed=0):
    generator = np.random.default_rng(seed)
    items = generator.integers(0, 12, n)
    vectors = (np.random.default_rng(9).normal(size=(12, 40))[items] + 1.5 * generator.normal(size=(n, 40))).astype(
        np.float32
    )
    return Rows(
        [f"{prefix}{i}" for i in range(n)], items, [f"kind{i % 3}" for i in items], vectors, np.arange(n) >= missed
    )


def test_block_sizes_change_no_figure(monkeypatch):
    queries, gallery = rows(1, 50, "q", missed=4), rows(2, 160, "g")
    whole = score(queries, gallery, "cosine", PARAMS)
    for sizes in ((1, 7, 20), (13, 160, 100), (50, 33, 5)):
        monkeypatch.setattr(Sizes, "within", staticmethod(lambda *given, sizes=sizes: Sizes(*sizes)))
        assert score(queries, gallery, "cosine", PARAMS) == whole


def test_result_names_counts_intervals_and_chance_of_both_views():
    result = score(rows(1, 50, "q", missed=4), rows(2, 160, "g"), "cosine", PARAMS)
    assert (result["n_queries"], result["n_missed"], result["gallery"], result["dimensions"]) == (50, 4, 160, 40)
    for view in ("whole_gallery", "same_superclass"):
        scores, chance = result[view], result["chance"][view]
        assert scores["n_scored"] + scores["n_without_match"] == 50
        assert set(chance) == {"hit_at_1", "hit_at_5", "hit_at_50", "map", "map_at_r"}
        for name in ("hit_at_1", "map", "map_at_r"):
            assert scores[f"{name}_low95"] <= scores[name] <= scores[f"{name}_high95"]
            assert chance[name] < scores[name]
        assert sum(one["n_scored"] for one in scores["per_category"].values()) == scores["n_scored"]
        weighted = sum(one["n_scored"] * one["map"] for one in scores["per_category"].values()) / scores["n_scored"]
        assert weighted == pytest.approx(scores["map"])


def test_clean_is_the_same_figures_of_the_queries_that_repeat_nothing():
    """As if the marked queries had not been asked: the gallery stays whole."""
    queries, gallery = rows(1, 50, "q", missed=4), rows(2, 160, "g")
    marked = np.arange(50) % 7 == 0
    labels = {"categories_too": True}
    whole = score(replace(queries, repeats=marked), gallery, "cosine", PARAMS, **labels)
    clean = whole.pop("clean")
    assert whole == score(queries, gallery, "cosine", PARAMS, **labels)
    assert "clean" not in whole
    kept = np.flatnonzero(~marked)
    taken = [getattr(queries, name).take(kept) for name in ("ids", "items", "categories")]
    alone = score(Rows(*taken, queries.vectors[kept], queries.detected[kept]), gallery, "cosine", PARAMS, **labels)
    del alone["whole_gallery"]["per_category"]
    assert clean == {
        "n_left_out": 8,
        "whole_gallery": alone["whole_gallery"],
        "category_prediction": alone["category_prediction"],
        "chance": {name: alone["chance"][name] for name in ("whole_gallery", "category_prediction")},
    }


def test_clean_takes_no_second_ranking(monkeypatch):
    queries, gallery = rows(1, 50, "q"), rows(2, 160, "g")
    blocks = []
    block = ranking.Counting._block
    monkeypatch.setattr(ranking.Counting, "_block", lambda self, *given: (blocks.append(1), block(self, *given))[1])
    score(queries, gallery, "cosine", PARAMS)
    once = len(blocks)
    score(replace(queries, repeats=np.arange(50) < 9), gallery, "cosine", PARAMS)
    assert len(blocks) == 2 * once


def test_memory_of_64_mb_at_least_is_asked_for():
    with pytest.raises(ValueError, match="memory_mb"):
        EvaluateParams(ks=[1], bootstrap_samples=1, seed=0, memory_mb=ranking.SMALLEST_MB - 1)


class Many:
    """Rows of which only the number and the width are asked for."""

    def __init__(self, n, width):
        self.n, self.vectors = n, np.broadcast_to(np.float32(0), (n, width))

    def __len__(self):
        return self.n


@pytest.mark.parametrize("memory_mb", [160, 256, 1024])
@pytest.mark.parametrize(("queries", "gallery", "width"), [(200, 1_000_000, 512), (14_218, 12_612, 2048), (5, 5, 2)])
def test_sizes_of_blocks_fit_the_budget(memory_mb, queries, gallery, width):
    sizes = Sizes.within(memory_mb, Many(queries, width), Many(gallery, width))
    block = 8 * sizes.queries * sizes.gallery
    vectors = 12 * width * sizes.gallery + 16 * width * min(sizes.queries, queries)
    assert sizes.queries >= 1 and sizes.gallery >= 1
    assert block + vectors + ranking.BYTES_PER_PAIR * sizes.pairs <= memory_mb * 1_000_000
    whole = 8 * gallery * (sizes.whole + ranking.COPIES * ranking.THREADS) if sizes.whole else 0
    vectors = 12 * width * sizes.gallery + 16 * width * sizes.whole
    assert whole + vectors + ranking.BYTES_PER_PAIR * sizes.pairs <= memory_mb * 1_000_000


def test_memory_that_the_ids_alone_would_fill_is_refused_with_what_is_needed():
    with pytest.raises(StageError, match="`evaluate.memory_mb` is 100; 1000200 rows of queries and gallery need 153"):
        Sizes.within(100, Many(200, 512), Many(1_000_000, 512))
    assert Sizes.within(153, Many(200, 512), Many(1_000_000, 512)).gallery > 64


@pytest.mark.parametrize("kind", ["wardrobe", "category", "image_category"])
def test_figures_with_and_without_flip_stand_beside_each_other(kind, tmp_path):
    image = encode_jpeg(Image.new("RGB", (8, 8)))
    for part, names in (("queries", ["q"]), ("gallery", ["x", "y"])):
        table = [
            dict(zip(BENCHMARK.names, (name, "x" if name == "q" else name, "top", None, image, None), strict=True))
            for name in names
        ]
        write_rows(tmp_path / f"benchmarks/b/{part}.parquet", BENCHMARK, table)
    (tmp_path / "benchmarks/b/benchmark.json").write_text(json.dumps({"kind": kind}))
    # With flip q finds x first; by the pictures alone it finds y.
    for folder, first in (("vectors/e", [1.0, 0.0]), ("vectors/e/plain", [0.0, 1.0])):
        write_vectors(vectors_path(tmp_path / folder, "b", "queries"), ["q"], np.array([first]), "cosine")
        write_vectors(vectors_path(tmp_path / folder, "b", "gallery"), ["x", "y"], np.eye(2), "cosine")
    score_encoders(tmp_path, ["e"], ["b"], PARAMS)
    result = json.loads((tmp_path / "report/e.json").read_text())["b"]
    assert result["whole_gallery"]["hit_at_1"] == result["flip"]["on"]["whole_gallery"]["hit_at_1"] == 1
    assert result["flip"]["off"]["whole_gallery"]["hit_at_1"] == 0
    if kind == "wardrobe":  # an item is no category
        assert "category_prediction" not in result
        return
    # Both vote, and of one vote each the nearer comes first: the right one with flip. As often as each other: half.
    assert result["category_prediction"] == {"n_scored": 1, "neighbours": 10, "top_1": 1, "top_3": 1, "top_5": 1}
    assert result["chance"]["category_prediction"] == {"top_1": 0.5, "top_3": 1, "top_5": 1}
    assert result["flip"]["on"]["category_prediction"] == {"top_1": 1, "top_3": 1, "top_5": 1}
    assert result["flip"]["off"]["category_prediction"] == {"top_1": 0, "top_3": 1, "top_5": 1}
