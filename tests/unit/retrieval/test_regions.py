"""Retrieval by attended regions: what embed writes, each region scored alone, and the list in which they take turns."""

import json
import sys
from argparse import Namespace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stages.core.images import encode_jpeg, pixels
from stages.core.tables import BENCHMARK, write_rows
from stages.retrieval import embed, evaluate, regions
from stages.retrieval.leaderboard import entry
from stages.retrieval.leaderboard_page import recommended
from stages.retrieval.regions import recommendation, region_folders
from stages.retrieval.scoring import EvaluateParams
from stages.retrieval.search import Rows


def rows(prefix, items, categories, vectors, detected=None):
    ids = [f"{prefix}{number}" for number in range(len(items))]
    known = np.ones(len(items), bool) if detected is None else np.array(detected)
    return Rows(ids, items, categories, np.array(vectors, np.float32), known)


def test_list_and_ranking_by_hand():
    """The whole picture ranks g0, g1, g2; region 1 is nearest to g2, region 2 to g1: the list is g2, g1, then g0."""
    gallery = ["vest", "coat", "hat"], ["top", "top", "hat"]
    queries = ["hat", "coat", "coat"], ["hat", "top", "top"]
    seen = [True, True, False]  # the third was never detected
    whole = (
        rows("q", *queries, [[0, 0], [0, 0], [0, 0]], seen),
        rows("g", *gallery, [[1, 0], [2, 0], [3, 0]]),
        "euclidean",
    )
    first = rows("q", *queries, [[0, 1]] * 3, seen), rows("g", *gallery, [[1, 0], [1, 0], [0, 1]]), "euclidean"
    second = rows("q", *queries, [[-1, 0]] * 3, seen), rows("g", *gallery, [[0, -1], [-1, 0], [0, -1]]), "euclidean"
    scores = recommendation(whole, [first, second])
    assert scores["n_scored"] == 2
    assert scores["list_hit_at_5"] == scores["whole_hit_at_5"] == 1
    assert scores["list_categories"] == scores["whole_categories"] == 2
    for listed, way, found, categories in (
        (1, "list", 0.5, 1),
        (1, "whole", 0.0, 1),
        (2, "list", 1.0, 2),
        (2, "whole", 0.5, 1),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(regions, "LISTED", listed)
            patch.setattr(regions, "HITS", (listed,))
            scores = recommendation(whole, [first, second])
        assert (scores[f"{way}_hit_at_{listed}"], scores[f"{way}_categories"]) == (found, categories)


def test_picture_does_not_find_itself_and_needs_another_match():
    alone = rows("p", ["a", "b", "b"], ["top"] * 3, [[0, 0], [1, 0], [2, 0]])
    pair = alone, alone, "euclidean"
    assert recommendation(pair, [pair])["n_scored"] == 2  # the only picture of a has no other match
    nothing = rows("q", ["z"], ["top"], [[0, 0]])
    assert recommendation((nothing, alone, "euclidean"), [(nothing, alone, "euclidean")]) == {"n_scored": 0}


def test_at_most_so_many_queries_are_asked_evenly_by_id(monkeypatch):
    monkeypatch.setattr(regions, "QUERIES", 3)
    many = rows("q", ["a"] * 9, ["top"] * 9, np.zeros((9, 2)))
    assert regions._asked(many, rows("g", ["a"], ["top"], [[0, 0]])) == [0, 4, 8]


def test_regions_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / "regions" / str(number)).mkdir(parents=True)
    assert [folder.name for folder in region_folders(tmp_path)] == ["1", "2", "10"]
    assert region_folders(tmp_path / "regions" / "1") == []


def halves(left, right):
    array = np.full((32, 32, 3), left, np.uint8)
    array[:, 16:] = right
    return encode_jpeg(Image.fromarray(array))


class Halves:
    """The whole picture says nothing; region 1 is the grey of the left half, region 2 that of the right one."""

    metric = "euclidean"

    def embed(self, data, detected_classes):
        return np.zeros((len(data), 3), np.float32)

    def regions(self, data):
        greys = [[pixels(one)[:, :16].mean() / 255, pixels(one)[:, 16:].mean() / 255] for one in data]
        return np.array([[[np.cos(grey), np.sin(grey)] for grey in pair] for pair in greys], np.float32)


def test_stages_write_and_score_the_regions_beside_the_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("benchmarks: [sides]\n")

    def row(row_id, item, data):
        return dict(zip(BENCHMARK.names, (row_id, item, "top", "top", data), strict=True))

    queries = [row("q1", "coat", halves(250, 10)), row("q2", "coat", None)]
    gallery = [
        row("g1", "vest", halves(100, 200)),
        row("g2", "coat", halves(250, 100)),
        row("g3", "hat", halves(0, 10)),
    ]
    write_rows(tmp_path / "benchmarks/sides/queries.parquet", BENCHMARK, queries)
    write_rows(tmp_path / "benchmarks/sides/gallery.parquet", BENCHMARK, gallery)
    (tmp_path / "benchmarks/sides/benchmark.json").write_text('{"kind": "wardrobe"}')
    module = ModuleType("stages.retrieval.encoder")
    module.load_encoder = lambda folder, runtime: Halves()
    monkeypatch.setitem(sys.modules, "stages.retrieval.encoder", module)
    args = Namespace(encoder="e", benchmarks=tmp_path / "benchmarks", model=tmp_path, out=tmp_path / "vectors")
    embed.main(args, SimpleNamespace(embed=embed.EmbedParams(batch=2, flip=False), runtime=None))
    args = Namespace(
        encoder="e", embeddings=tmp_path / "vectors", benchmarks=tmp_path / "benchmarks", prefix=tmp_path / "e"
    )
    fields = {"ks": [1], "bootstrap_samples": 5, "seed": 0, "memory_mb": 64}
    evaluate.main(args, SimpleNamespace(evaluate=EvaluateParams.model_validate(fields)))
    result = json.loads((tmp_path / "e.json").read_text())["sides"]
    # Of two queries the undetected one is a miss. By the left half the coat is found, by the right one the hat.
    assert result["whole_gallery"]["hit_at_1"] == 0
    assert [result["regions"][number]["whole_gallery"]["hit_at_1"] for number in ("1", "2")] == [0.5, 0]
    assert result["recommendation"]["n_scored"] == 1 and result["recommendation"]["list_hit_at_5"] == 1
    line = entry(result, {})
    assert line["regions"]["1"]["hit_at_1"] == 0.5
    (sentence, _) = recommended("e", line)
    assert sentence.startswith(
        "Recommendations of e for 1 queries: in the list in which its regions take turns hit@5 is 1.000"
    )
    assert recommended("e", {}) == recommended("e", {"recommendation": {"n_scored": 0}}) == []
