"""An index finds what an exact search finds, by bytes that depend on the vectors alone."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from stages.core.errors import StageError
from stages.retrieval import index as module
from stages.retrieval.index import (
    SearchParams,
    build,
    comparable,
    exact_nearest,
    exact_scores,
    lists_of,
    picked,
    read_card,
    read_index,
    recall,
)

faiss = pytest.importorskip("faiss")  # pip install -r requirements-search.txt

BUILD = """
import sys
from pathlib import Path
from stages.core.determinism import pin_process
threads = sys.argv[3]
pin_process()
import os
os.environ["OMP_NUM_THREADS"] = threads  # the pins come from params.yaml, another machine may have others
import numpy as np
from stages.retrieval.index import build
vectors = np.load(sys.argv[1])
build(lambda: [vectors], len(vectors), "cosine", .9).write(Path(sys.argv[2]))
"""


def clusters(rows, seed=0, width=16, centers=40):
    """float32 [rows, width] around centers that are the same for every seed."""
    middles = np.random.default_rng(99).standard_normal((centers, width))
    noise = np.random.default_rng(seed)
    return (middles[noise.integers(0, centers, rows)] + 0.5 * noise.standard_normal((rows, width))).astype(np.float32)


def batches(vectors, size=700):
    return lambda: (vectors[start : start + size] for start in range(0, len(vectors), size))


@pytest.fixture(scope="module")
def gallery():
    return clusters(4000)


@pytest.fixture(scope="module")
def built(gallery):
    return build(batches(gallery), len(gallery), "cosine", 0.95)


def by_hand(gallery, query, k, keep=None):
    """Rows of the k largest cosines, of equals the first, in float64."""
    gallery, query = gallery.astype(float), query.astype(float)
    cosine = gallery @ query / np.linalg.norm(gallery, axis=1) / np.linalg.norm(query)
    if keep is not None:
        cosine[~keep] = -np.inf
    order = np.argsort(-cosine, kind="stable")[:k]
    return order, cosine[order]


def test_params_name_the_size_above_which_there_is_an_index():
    ivf = SearchParams(index="ivf", ivf_above=100, recall=0.9)
    assert not ivf.indexes(100) and ivf.indexes(101)
    assert not SearchParams(index="exact", ivf_above=100, recall=0.9).indexes(1000)


@pytest.mark.parametrize(("rows", "lists"), [(1, 2), (100, 20), (10_000, 200), (1_000_000, 2_000)])
def test_number_of_lists_is_twice_the_square_root(rows, lists):
    assert lists_of(rows) == lists


@pytest.mark.parametrize(
    ("metric", "expected"), [("cosine", [0.6, 1.0, 0.0, 0.0]), ("euclidean", [-16.0, -4.0, -10.0, -9.0])]
)
def test_exact_scores_worked_out_by_hand(metric, expected):
    vectors = np.array([[3, 4], [5, 0], [0, 1], [0, 0]], np.float32)
    assert exact_scores(np.array([3, 0], np.float32), vectors, metric).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_exact_search_in_batches_finds_what_float64_finds_in_one(gallery, metric):
    queries = clusters(20, seed=5)
    scores, rows = exact_nearest(batches(gallery), queries, 10, metric)
    for query, found, own in zip(queries, rows, scores, strict=True):
        exact = exact_scores(query, gallery, metric)
        assert found.tolist() == np.argsort(-exact, kind="stable")[:10].tolist()
        assert own == pytest.approx(exact[found], rel=1e-4, abs=1e-5)


def test_exact_search_leaves_out_the_query_itself_and_says_when_there_are_no_more_rows():
    gallery = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    _, rows = exact_nearest(lambda: [gallery], gallery[:1], 3, "cosine", np.array([0]))
    assert rows.tolist() == [[2, 1, -1]]
    with_none = exact_nearest(lambda: [gallery], gallery[:1], 2, "cosine", np.array([-1]))[1]
    assert with_none.tolist() == [[0, 2]]


def test_recall_counts_equally_near_neighbors_as_the_same():
    scale = np.ones(2)
    # The first query found 1 of 2; the second found two that are as near as the second best, one of them another row.
    assert recall(np.array([[0.9, 0.1], [0.8, 0.5]]), np.array([[0.9, 0.7], [0.8, 0.5]]), scale) == 0.75
    nothing = -np.inf
    assert recall(np.array([[0.9, nothing]]), np.array([[0.9, nothing]]), np.ones(1)) == 1
    assert recall(np.array([[nothing, nothing]]), np.array([[0.9, 0.8]]), np.ones(1)) == 0


def test_rows_are_picked_across_batches(gallery):
    wanted = np.array([0, 699, 700, 2100, 3999])
    assert (picked(batches(gallery), wanted) == gallery[wanted]).all()


def test_index_is_exact_when_all_lists_are_searched(gallery, built):
    queries = clusters(30, seed=6)
    scores, rows = built.nearest(gallery, queries, 10, nprobe=built.card["lists"])
    for query, found, own in zip(queries, rows, scores, strict=True):
        expected, cosine = by_hand(gallery, query, 10)
        assert found.tolist() == expected.tolist()
        assert own == pytest.approx(cosine, abs=1e-12)


def test_measured_recall_reaches_what_was_asked_and_holds_for_other_queries(gallery, built):
    shares = built.card["recall"]
    tried = [int(nprobe) for nprobe in shares]
    assert tried == [2**power for power in range(len(tried))] and built.card["nprobe"] == tried[-1] > 1
    assert all(shares[str(nprobe)] < 0.95 for nprobe in tried[:-1]) and built.expected >= 0.95
    queries = clusters(200, seed=7)
    _, rows = built.nearest(gallery, queries, 10)
    hits = [np.isin(by_hand(gallery, query, 10)[0], found).mean() for query, found in zip(queries, rows, strict=True)]
    assert np.mean(hits) == pytest.approx(built.expected, abs=0.03)


def test_search_among_some_rows_finds_those_alone_with_no_smaller_recall(gallery, built):
    keep = np.arange(len(gallery)) % 7 == 3
    queries = clusters(100, seed=8)
    _, rows = built.nearest(gallery, queries, 10, among=keep)
    assert keep[rows[rows >= 0]].all()
    hits = [
        np.isin(by_hand(gallery, query, 10, keep)[0], found).mean() for query, found in zip(queries, rows, strict=True)
    ]
    assert np.mean(hits) >= 0.95
    scores, rows = built.nearest(gallery, queries[:1], 10, among=np.arange(len(gallery)) == 5)
    assert rows[0].tolist() == [5] + [-1] * 9 and np.isinf(scores[0, 1:]).all()


def test_equal_vectors_come_in_the_order_of_their_rows():
    gallery = np.repeat(clusters(20, seed=9), 10, axis=0)  # rows 0 to 9 are equal, and so on
    index = build(batches(gallery), len(gallery), "cosine", 0.5)
    scores, rows = index.nearest(gallery, gallery[[55]], 5, nprobe=index.card["lists"])
    assert scores[0].tolist() == pytest.approx([1] * 5)
    assert rows[0].tolist() == sorted(rows[0].tolist()) and set(rows[0]) <= set(range(50, 60))


def test_length_of_a_vector_matters_for_the_euclidean_distance_alone():
    vectors = np.array([[3, 4]], np.float32)
    assert comparable(vectors, "cosine").tolist() == [pytest.approx([0.6, 0.8])]
    assert comparable(vectors, "euclidean").tolist() == [[3, 4]]
    assert comparable(np.zeros((1, 2), np.float32), "cosine").tolist() == [[0, 0]]


def test_index_is_one_file_that_reads_as_it_was_written(gallery, built, tmp_path):
    built.write(tmp_path / "one.ivf")
    read = read_index(tmp_path / "one.ivf")
    assert read.card == built.card == read_card(tmp_path / "one.ivf") and read.card["rows"] == 4000
    queries = clusters(10, seed=10)
    for before, after in zip(built.nearest(gallery, queries, 10), read.nearest(gallery, queries, 10), strict=True):
        assert (before == after).all()
    assert [path.name for path in tmp_path.iterdir()] == ["one.ivf"]


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"", lambda data: data[3000:]])
def test_damaged_index_is_refused_with_its_name(built, tmp_path, damage):
    built.write(tmp_path / "one.ivf")
    (tmp_path / "one.ivf").write_bytes(damage((tmp_path / "one.ivf").read_bytes()))
    with pytest.raises(StageError, match="one.ivf: no index of vectors"):
        read_index(tmp_path / "one.ivf")


@pytest.mark.slow
def test_two_processes_with_other_threads_and_hash_seeds_write_the_same_bytes(gallery, tmp_path):
    np.save(tmp_path / "vectors.npy", gallery)
    for name, threads, seed in (("a", "1", "0"), ("b", "4", "123")):
        command = [sys.executable, "-c", BUILD, tmp_path / "vectors.npy", tmp_path / name, threads]
        environment = os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads}
        subprocess.run(command, check=True, env=environment, timeout=120)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_order_of_batches_is_that_of_rows_whatever_their_size(gallery, tmp_path):
    for size in (4000, 333):
        build(batches(gallery, size), len(gallery), "euclidean", 0.9).write(tmp_path / str(size))
    assert (tmp_path / "4000").read_bytes() == (tmp_path / "333").read_bytes()


@pytest.mark.slow
def test_torch_keeps_its_threads_and_both_libraries_compute_in_one_process(gallery):
    code = (
        "import torch; torch.set_num_threads(2)\nimport numpy as np\n"
        "from stages.retrieval.index import build, faiss_module\n"
        "vectors = np.random.default_rng(0).standard_normal((3000, 8), np.float32)\n"
        "before = (torch.ones(300, 300) @ torch.ones(300, 300)).sum()\n"
        "index = build(lambda: [vectors], 3000, 'cosine', .9)\n"
        "assert torch.get_num_threads() == 2 and faiss_module().omp_get_max_threads() > 1\n"
        "assert (torch.ones(300, 300) @ torch.ones(300, 300)).sum() == before\n"
        "assert index.nearest(vectors, vectors[:3], 1)[1].ravel().tolist() == [0, 1, 2]\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"OMP_NUM_THREADS": "2"}, timeout=120)


def test_instruction_set_is_that_of_the_params(monkeypatch):
    levels = []
    monkeypatch.setattr(faiss.SIMDConfig, "is_simd_level_available", lambda level: True)
    monkeypatch.setattr(faiss.SIMDConfig, "set_level", levels.append)
    monkeypatch.setattr(module, "runtime_params", dict)
    module.faiss_module()
    assert levels == []
    monkeypatch.setattr(module, "runtime_params", lambda: {"pin_instruction_set": True})
    module.faiss_module()
    assert levels == [faiss.SIMDLevel_AVX2]


def test_search_works_after_a_library_has_replaced_methods_of_faiss(gallery, built, monkeypatch):
    before = built.nearest(gallery, gallery[:5], 3)
    monkeypatch.setattr(
        type(built.faiss_index), "search", None
    )  # as pytorch_metric_learning does, which training imports
    for one, other in zip(before, built.nearest(gallery, gallery[:5], 3), strict=True):
        assert (one == other).all()


def test_without_faiss_one_message_says_what_to_install(monkeypatch, gallery):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(StageError, match="pip install -r requirements-search.txt"):
        build(batches(gallery), len(gallery), "cosine", 0.9)


def test_card_is_json_of_what_a_reader_needs(built):
    assert set(built.card) == {"rows", "width", "metric", "lists", "nprobe", "recall", "faiss"}
    assert json.loads(json.dumps(built.card)) == built.card
