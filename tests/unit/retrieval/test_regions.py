"""Retrieval by attended regions: what embed writes, each region scored alone, and the list in which they take turns."""

import tracemalloc

import numpy as np
import pytest

from stages.networks.backbones.features import square
from stages.networks.encoders.attention.recommend import diverse_list, region_distances
from stages.report.leaderboard import entry
from stages.report.leaderboard_page import measured_rows, recommended
from stages.retrieval import regions
from stages.retrieval.regions import recommendation, region_folders
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import read_vectors

HITS_OF_5_AND_10 = {f"{way}_hit_at_{k}": 0.0 for way in ("list", "whole") for k in (5, 10)}


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
    scores = recommendation(whole, [first, second], 64)
    assert scores["n_scored"] == 3  # the one that was not detected is a miss
    assert scores["list_hit_at_5"] == scores["whole_hit_at_5"] == 2 / 3
    assert scores["list_categories"] == scores["whole_categories"] == 2
    for listed, way, found, categories in (
        (1, "list", 1, 1),
        (1, "whole", 0, 1),
        (2, "list", 2, 2),
        (2, "whole", 1, 1),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(regions, "LISTED", listed)
            patch.setattr(regions, "HITS", (listed,))
            scores = recommendation(whole, [first, second], 64)
        assert (scores[f"{way}_hit_at_{listed}"], scores[f"{way}_categories"]) == (found / 3, categories)


def test_picture_does_not_find_itself_and_needs_another_match():
    alone = rows("p", ["a", "b", "b"], ["top"] * 3, [[0, 0], [1, 0], [2, 0]])
    pair = alone, alone, "euclidean"
    assert recommendation(pair, [pair], 64)["n_scored"] == 2  # the only picture of a has no other match
    nothing = rows("q", ["z"], ["top"], [[0, 0]])
    pair = nothing, alone, "euclidean"
    assert recommendation(pair, [pair], 64) == {"n_scored": 0, "n_missed": 0}


def test_categories_are_not_counted_where_the_gallery_has_one():
    queries, gallery = rows("q", ["a"], ["outfit"], [[0, 0]]), rows("g", ["a", "b"], ["outfit"] * 2, np.eye(2))
    pair = queries, gallery, "euclidean"
    scores = recommendation(pair, [pair], 64)
    assert set(scores) == {"n_scored", "n_missed"} | {f"{way}_hit_at_{k}" for way in ("list", "whole") for k in (5, 10)}
    sentence = " ".join(recommended("e", {"recommendation": scores}))
    assert "hit@10 1.000; in its ranking" in sentence and "categories" not in sentence


def regions_of(generator, n):
    vectors = generator.normal(size=(3, n, 16)).astype(np.float32)
    vectors[:, 1::4] = vectors[:, ::4][:, : len(vectors[0, 1::4])]  # equals, which ids decide
    return vectors / np.linalg.norm(vectors, axis=2, keepdims=True)


@pytest.mark.parametrize("memory_mb", [64, 0.01, 0.0001])
def test_lists_are_those_of_comparing_all_pictures_whatever_the_memory(memory_mb, monkeypatch):
    monkeypatch.setattr(regions, "BLOCK_BYTES", 2000)
    generator = np.random.default_rng(0)
    of_queries, of_gallery = regions_of(generator, 6), regions_of(generator, 90)
    items = [f"i{number % 5}" for number in range(90)]
    pairs = [
        (rows("q", items[:6], ["top"] * 6, one), rows("g", items, ["top"] * 90, other), "euclidean")
        for one, other in zip(of_queries, of_gallery, strict=True)
    ]
    queries, gallery, _ = pairs[0]
    found = regions._listed(queries, gallery, pairs, [0, 3, 5], memory_mb)
    for row, listed in zip((0, 3, 5), found, strict=True):
        distances = region_distances(of_queries[:, row], of_gallery.swapaxes(0, 1))
        expected = diverse_list(distances, gallery.ids.to_pylist(), 10)
        assert [f"g{place}" for place in listed] == [name for name, _ in expected]


def test_recommendations_stay_below_the_memory_that_they_are_given():
    """The gallery's regions in float64 alone would be 10 MB."""
    generator = np.random.default_rng(1)
    of_queries, of_gallery = (generator.normal(size=(4, n, 16)).astype(np.float32) for n in (40, 20_000))
    asked, own = of_queries.swapaxes(0, 1), np.full(40, -1)
    tracemalloc.start()
    try:
        lists = [len(near) for near in regions.shortlists(asked, of_gallery, own, 10, 5)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 5e6 and len(lists) == 40 and min(lists) >= 10


def test_at_most_so_many_queries_are_asked_evenly_by_id(monkeypatch):
    monkeypatch.setattr(regions, "QUERIES", 3)
    many = rows("q", ["a"] * 9, ["top"] * 9, np.zeros((9, 2)))
    assert regions._with_match(many, rows("g", ["a"], ["top"], [[0, 0]])) == [0, 4, 8]


def test_regions_are_in_the_order_of_their_numbers(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / "regions" / str(number)).mkdir(parents=True)
    assert [folder.name for folder in region_folders(tmp_path)] == ["1", "2", "10"]
    assert region_folders(tmp_path / "regions" / "1") == []


class Halves:
    """The whole picture says nothing; region 1 is the gray of the left half, region 2 that of the right one."""

    metric = "euclidean"
    pixels = square(32)

    def embed_regions(self, images):
        grays = [[half.float().mean() / 255 for half in one.split(16, dim=2)] for one in images]
        regions = np.array([[[np.cos(gray), np.sin(gray)] for gray in pair] for pair in grays], np.float32)
        return np.zeros((len(images), 3), np.float32), regions


def test_stages_write_and_score_the_regions_beside_the_whole(sides):
    queries = [("q1", "coat", (250, 10)), ("q2", "coat", None)]
    gallery = [("g1", "vest", (100, 200)), ("g2", "coat", (250, 100)), ("g3", "hat", (0, 10))]
    vectors, result = sides(Halves(), queries, gallery)
    assert read_vectors(vectors / "regions/2/sides-queries.parquet")[0] == ["q1"]
    # Of two queries the undetected one is a miss. By the left half the coat is found, by the right one the hat.
    assert result["whole_gallery"]["hit_at_1"] == 0
    assert [result["regions"][number]["whole_gallery"]["hit_at_1"] for number in ("1", "2")] == [0.5, 0]
    assert result["recommendation"]["n_scored"] == 2 and result["recommendation"]["list_hit_at_5"] == 0.5
    line = entry(result)
    assert line["regions"]["1"]["hit_at_1"] == 0.5
    sentence = " ".join(recommended("e", line))
    told = "Recommendations of e for 2 queries: in the list in which its regions take turns hit@5 is 0.500"
    assert sentence.startswith(told)


class Sided(Halves):
    """The whole picture is the grays of its halves: its mirror image is another vector."""

    def embed(self, images, detected_classes):
        return np.stack([images[..., :16].float().mean((1, 2, 3)), images[..., 16:].float().mean((1, 2, 3))], axis=1)

    def embed_regions(self, images):
        return self.embed(images, []), super().embed_regions(images)[1]


def test_list_and_whole_pictures_are_compared_without_flip(sides, monkeypatch):
    """Only with flip is the coat, which shows its other side, nearer than the vest."""
    monkeypatch.setattr(regions, "HITS", (1,))
    gallery = [("g1", "coat", (0, 200)), ("g2", "vest", (160, 120))]
    _, result = sides(Sided(), [("q1", "coat", (200, 0))], gallery, flip=True)
    assert result["whole_gallery"]["hit_at_1"] == 1 and result["flip"]["off"]["whole_gallery"]["hit_at_1"] == 0
    assert result["recommendation"]["whole_hit_at_1"] == 0
    line = entry(result)
    assert "for 1 queries, all without flip: " in " ".join(
        recommended("e", line | {"recommendation": line["recommendation"] | HITS_OF_5_AND_10})
    )
    names = [row[0] for row in measured_rows({"e": {"sides": line}}, {}, "sides", (), {})]
    assert "e, region 1 alone, without flip" in names


def test_without_a_query_that_was_detected_there_are_misses_and_nothing_to_tell(sides):
    _, result = sides(Halves(), [("q1", "coat", None)], [("g1", "coat", (0, 9))])
    assert result["recommendation"] == {"n_scored": 1, "n_missed": 1} | {
        f"{way}_hit_at_{k}": 0 for way in ("list", "whole") for k in (5, 10)
    }
    for scores in (result["recommendation"], {"n_scored": 0, "n_missed": 0}):
        assert recommended("e", {"recommendation": scores}) == []
    assert recommended("e", {}) == []
