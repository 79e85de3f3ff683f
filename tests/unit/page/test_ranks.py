"""What a query finds, with vectors laid out by hand."""

import json

import numpy as np
import pytest

from stages.contracts.tables import BENCHMARK, write_rows
from stages.core.errors import StageError
from stages.page.lookup import Profile
from stages.page.ranks import load_pair, rankings
from stages.retrieval.vectors import write_vectors

# A query at 0; the gallery lies at these distances, `right` rows are the query's own item.
GALLERY = {"near": (1.0, "b"), "far": (3.0, "a"), "farther": (4.0, "a"), "middle": (2.0, "c")}


@pytest.fixture(params=["cosine", "euclidean"])
def profile(tmp_path, request):
    """A benchmark of two queries, one without a crop; in the plane, so that angles and distances rank alike."""
    (tmp_path / "ingested").mkdir()
    folder = tmp_path / "benchmarks" / "tiny"
    row = {"category": "top", "detected_class": "top", "repeats": None}
    queries = [
        {**row, "row_id": "q", "item": "a", "bytes": b"x"},
        {**row, "row_id": "uncut", "item": "a", "bytes": None},
    ]
    write_rows(folder / "queries.parquet", BENCHMARK, queries)
    gallery = [{**row, "row_id": name, "item": item, "bytes": b"x"} for name, (_, item) in sorted(GALLERY.items())]
    write_rows(folder / "gallery.parquet", BENCHMARK, gallery)
    (folder / "benchmark.json").write_text(json.dumps({"kind": "inshop", "source": "shop"}))
    metric = request.param
    place = (lambda d: (np.cos(d / 5), np.sin(d / 5))) if metric == "cosine" else (lambda d: (d, 0.0))
    out = tmp_path / "embeddings" / "mine"
    write_vectors(out / "tiny-queries.parquet", ["q"], np.array([place(0.0)]), metric)
    vectors = np.array([place(GALLERY[name][0]) for name in sorted(GALLERY)])
    write_vectors(out / "tiny-gallery.parquet", sorted(GALLERY), vectors, metric)
    return Profile(tmp_path), metric


def test_results_come_by_score_and_the_missed_match_has_its_rank(profile):
    pair = load_pair(profile[0], "mine", "tiny")
    first, uncut = rankings(pair, [0, 1], 2)
    score = (lambda d: np.cos(d / 5)) if profile[1] == "cosine" else (lambda d: d)
    assert [(hit["row_id"], hit["correct"]) for hit in first["results"]] == [("near", False), ("middle", False)]
    assert [hit["score"] for hit in first["results"]] == pytest.approx([score(1.0), score(2.0)], abs=1e-6)
    assert first["matches"] == 2 and (first["match"]["row_id"], first["match"]["rank"]) == ("far", 3)
    assert first["match"]["score"] == pytest.approx(score(3.0), abs=1e-6)
    assert (uncut["detected"], uncut["results"], uncut["match"], uncut["matches"]) == (False, [], None, 2)


def test_unknown_encoder_is_named_with_the_nearest(profile):
    with pytest.raises(StageError, match="no encoder 'mien' among 1. Nearest: mine"):
        load_pair(profile[0], "mien", "tiny")
