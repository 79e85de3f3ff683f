"""An index of vectors, for searches in galleries that are too large to compare every vector: faiss' ``IVF,SQ8``.

K-means puts the vectors into ``lists_of(n)`` lists. A search compares the query with the ``nprobe`` lists whose centers
are nearest, by vectors of one byte a dimension, and then the best of these (``WIDER`` times as many as are wanted) with
the vectors themselves, so that scores and order are exact, and only a neighbor in another list can be missed.

``nprobe`` is the smallest power of two that finds a share of the ten nearest neighbors that params name
(``search.recall``), measured when the index is built: ``SAMPLE`` rows spread evenly over the gallery search the rest.

An index is one file: what faiss writes, then a card as JSON, its length and ``MAGIC``. The same vectors give the same
bytes: seeds are fixed, and one thread trains and adds. faiss (requirements-search.txt) is imported when it is needed.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, PositiveInt

from stages.core.determinism import runtime_params
from stages.core.errors import StageError
from stages.core.params import Section

Batches = Callable[[], Iterable[np.ndarray]]  # reads all vectors of a gallery, float32 [m, d] at a time, in its order

MAGIC = b"SEAMIVF1"
INSTALL = "pip install -r requirements-search.txt"
SEED = 0
ROUNDS = 10  # of k-means
TRAINED_ON = 40  # vectors of each list that k-means sees
WIDER = 4
NEIGHBORS = 10  # recall is about so many
SAMPLE = 500
AT_ONCE = 16_384  # rows in a step of an exact search
# Float32 scores of the same two vectors differ by less than this share of their squared lengths.
ROUNDING = 1e-5


class SearchParams(Section):
    """Section ``search``: how galleries are searched that have more vectors than ``ivf_above``."""

    index: Literal["exact", "ivf"]
    ivf_above: PositiveInt
    recall: float = Field(gt=0, le=1)

    def indexes(self, rows: int) -> bool:
        """Whether a gallery of so many vectors gets an index."""
        return self.index == "ivf" and rows > self.ivf_above


def lists_of(rows: int) -> int:
    """Number of lists of an index: twice the square root of the number of vectors."""
    return max(1, round(2 * rows**0.5))


def faiss_module() -> Any:
    """The module faiss, with the instruction set that params pin.

    Raises:
        StageError: it is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise StageError(f"`search.index` is ivf, which needs faiss: {INSTALL}. `exact` needs nothing.") from None
    level = faiss.SIMDLevel_AVX2
    if runtime_params().get("pin_instruction_set") and faiss.SIMDConfig.is_simd_level_available(level):
        faiss.SIMDConfig.set_level(level)  # as stages/core/determinism.py pins other libraries
    return faiss


@contextmanager
def one_thread(faiss: Any) -> Iterator[None]:
    """One thread of faiss and of its BLAS within the block."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def comparable(vectors: np.ndarray, metric: str) -> np.ndarray:
    """float32 [n, d] whose squared Euclidean distances order them: of length 1 where the metric is cosine."""
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if metric != "cosine":
        return vectors
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))


def exact_scores(query: np.ndarray, vectors: np.ndarray, metric: str) -> np.ndarray:
    """float64 [n]: cosine, or minus the squared Euclidean distance, of a query [d] and vectors [n, d]."""
    query, vectors = query.astype(np.float64), vectors.astype(np.float64)
    if metric != "cosine":
        return -np.square(vectors - query).sum(axis=1)
    lengths = np.sqrt(np.square(vectors).sum(axis=1) * np.square(query).sum())
    return (vectors * query).sum(axis=1) / np.maximum(lengths, 1e-24)


def exact_nearest(batches: Batches, queries: np.ndarray, k: int, metric: str, own: np.ndarray | None = None) -> Any:
    """The k nearest rows of each query by comparing all, in memory for one batch.

    Args:
        queries: float32 [q, d].
        own: [q] the row that is the query itself and not found; -1: none.

    Returns:
        float32 scores [q, k], best first, as ``exact_scores`` up to rounding, and int64 rows [q, k]; -1: no more rows.
    """
    prepared = comparable(queries, metric)
    best = np.full((len(prepared), k), -np.inf, np.float32)
    rows = np.full((len(prepared), k), -1, np.int64)
    start = 0
    for batch in batches():
        for step in range(0, len(batch), AT_ONCE):
            some = comparable(batch[step : step + AT_ONCE], metric)
            scores = prepared @ some.T
            if metric != "cosine":
                scores = 2 * scores - np.square(some).sum(axis=1) - np.square(prepared).sum(axis=1)[:, None]
            places = start + np.arange(len(some))
            if own is not None:
                scores[own[:, None] == places] = -np.inf
            scores = np.concatenate([best, scores], axis=1)
            columns = np.concatenate([rows, np.broadcast_to(places, (len(prepared), len(some)))], axis=1)
            order = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            best, rows = np.take_along_axis(scores, order, axis=1), np.take_along_axis(columns, order, axis=1)
            start += len(some)
    order = np.lexsort((rows, -best), axis=1)
    best, rows = np.take_along_axis(best, order, axis=1), np.take_along_axis(rows, order, axis=1)
    return best, np.where(np.isfinite(best), rows, -1)


def recall(scores: np.ndarray, best: np.ndarray, scale: np.ndarray) -> float:
    """Mean share of the k nearest that a search found; of equally near ones it does not matter which.

    Args:
        scores: float [q, k] exact scores of what a search found; -inf: nothing.
        best: float [q, k] scores of the nearest, best first; -inf: there are no more.
        scale: float [q] squared length of the query plus the largest of the gallery, for the rounding of ``best``.
    """
    wanted = np.isfinite(best).sum(axis=1)
    least = np.where(np.isfinite(best), best, np.inf).min(axis=1, initial=np.inf)
    reached = (scores >= (least - ROUNDING * scale)[:, None]).sum(axis=1)
    return float((np.minimum(reached, wanted) / np.maximum(wanted, 1))[wanted > 0].mean())


def picked(batches: Batches, wanted: np.ndarray) -> np.ndarray:
    """The vectors of some rows, [w] ascending; float32 [w, d]."""
    result, start = [], 0
    for batch in batches():
        first, end = np.searchsorted(wanted, [start, start + len(batch)])
        result.append(np.array(batch[wanted[first:end] - start], np.float32))
        start += len(batch)
    return np.concatenate(result)


@dataclass(frozen=True)
class Index:
    """An index of n vectors.

    Attributes:
        faiss_index: an ``IndexIVFScalarQuantizer``.
        card: rows, width, metric, lists, nprobe, recall (nprobe -> share), faiss (its version).
    """

    faiss_index: Any
    card: dict[str, Any]

    @property
    def expected(self) -> float:
        """Recall among the ten nearest, as measured when it was built."""
        return self.card["recall"][str(self.card["nprobe"])]

    def candidates(
        self, queries: np.ndarray, count: int, nprobe: int | None = None, among: np.ndarray | None = None
    ) -> np.ndarray:
        """int64 [q, count]: rows that are probably nearest; -1: none.

        Args:
            among: bool [n], the rows that may be found; so much more lists are searched as rows are left out.
        """
        faiss = faiss_module()
        nprobe = nprobe or self.card["nprobe"]
        params = faiss.SearchParametersIVF()
        if among is not None:
            nprobe = -(-nprobe * len(among) // max(1, int(np.count_nonzero(among))))
            bits = np.packbits(among, bitorder="little")
            selector = faiss.IDSelectorBitmap(bits)  # a name of its own: params hold no reference to it
            params.sel = selector
        params.nprobe = min(nprobe, self.card["lists"])
        prepared = comparable(queries, self.card["metric"])
        count = min(count, self.card["rows"])
        rows = np.empty((len(prepared), count), np.int64)
        apart = np.empty((len(prepared), count), np.float32)
        # Not `search`: pytorch_metric_learning replaces it by one without these parameters when it is imported.
        arrays = (faiss.swig_ptr(array) for array in (apart, rows))
        self.faiss_index.search_c(len(prepared), faiss.swig_ptr(prepared), count, *arrays, params)
        return rows

    def nearest(
        self,
        vectors: np.ndarray,
        queries: np.ndarray,
        k: int,
        nprobe: int | None = None,
        among: np.ndarray | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows of each query, of equally near ones the first, and their exact scores.

        Args:
            vectors: [n, d], those of the index, in memory or mapped.
            queries: [q, d].
            among: see ``candidates``.

        Returns:
            float64 scores [q, k] (``exact_scores``), -inf where nothing was found, and int64 rows [q, k], -1 there.
        """
        scores = np.full((len(queries), k), -np.inf)
        rows = np.full((len(queries), k), -1, np.int64)
        for place, candidates in enumerate(self.candidates(queries, WIDER * k, nprobe, among)):
            own = np.unique(candidates[candidates >= 0])
            exact = exact_scores(queries[place], np.asarray(vectors[own]), self.card["metric"])
            order = np.argsort(-exact, kind="stable")[:k]
            scores[place, : len(order)], rows[place, : len(order)] = exact[order], own[order]
        return scores, rows

    def write(self, path: Path) -> None:
        """Write it as one file."""
        faiss_module().write_index(self.faiss_index, str(path))
        card = json.dumps(self.card, sort_keys=True).encode("ascii")
        with path.open("ab") as stream:
            stream.write(card + len(card).to_bytes(8, "little") + MAGIC)


def read_index(path: Path) -> Index:
    """Open an index; its lists are mapped, not read.

    Raises:
        StageError: the file is missing or damaged, or faiss is not installed.
    """
    faiss = faiss_module()
    try:
        card = read_card(path)
        return Index(faiss.read_index(str(path), faiss.IO_FLAG_MMAP), card)
    except (OSError, ValueError, RuntimeError) as error:
        raise StageError(f"{path}: no index of vectors ({str(error)[-100:]}). Delete it; it is made again.") from None


def read_card(path: Path) -> dict[str, Any]:
    """The card of an index file.

    Raises:
        OSError, ValueError: it is not there, or no index.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 8 - len(MAGIC)))
        length, magic = stream.read(8), stream.read()
        if magic != MAGIC:
            raise ValueError("its end is missing")
        stream.seek(size - 8 - len(MAGIC) - int.from_bytes(length, "little"))
        return json.loads(stream.read(int.from_bytes(length, "little")))


def build(batches: Batches, rows: int, metric: str, least_recall: float) -> Index:
    """An index of ``rows`` vectors, which are read three times: for k-means, to be added, to measure recall.

    Memory: a byte a dimension and 8 bytes of each vector, twice that for moments, and ``TRAINED_ON`` vectors of a list.

    Raises:
        StageError: faiss is not installed.
    """
    faiss = faiss_module()
    lists = lists_of(rows)
    drawn = np.random.default_rng(SEED).choice(rows, min(rows, TRAINED_ON * lists), replace=False)
    with one_thread(faiss):
        sample = comparable(picked(batches, np.sort(drawn)), metric)
        width = sample.shape[1]
        index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatL2(width), width, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_L2
        )
        index.cp.seed, index.cp.niter, index.cp.min_points_per_centroid = SEED, ROUNDS, 1
        index.train(sample)
        del sample
        for batch in batches():
            for start in range(0, len(batch), AT_ONCE):
                index.add(comparable(batch[start : start + AT_ONCE], metric))
        card = {"rows": rows, "width": width, "metric": metric, "lists": lists, "faiss": faiss.__version__}
        built = Index(index, card)
        shares = measured(built, batches, least_recall)
    card |= {"nprobe": max(shares, key=lambda nprobe: shares[nprobe])}
    card |= {"recall": {str(nprobe): share for nprobe, share in shares.items()}}
    return built


def measured(index: Index, batches: Batches, enough: float) -> dict[int, float]:
    """nprobe -> recall among the ten nearest: of rows spread evenly over the gallery, which search the rest.

    Powers of two are tried until one is ``enough``, at the latest all lists. A neighbor counts as found when it is a
    candidate, because these are then compared exactly.
    """
    rows = index.card["rows"]
    own = np.unique(np.linspace(0, rows - 1, SAMPLE).astype(np.int64))
    queries = picked(batches, own)
    k = min(NEIGHBORS, rows - 1)
    _, best = exact_nearest(batches, queries, k, index.card["metric"], own)
    result: dict[int, float] = {}
    nprobe = 1
    while True:
        candidates = index.candidates(queries, WIDER * k, nprobe)
        hits = [np.isin(best[place], candidates[place]).mean() for place in range(len(own))]
        result[nprobe] = round(float(np.mean(hits)), 4)
        if result[nprobe] >= enough or nprobe == index.card["lists"]:
            return result
        nprobe = min(2 * nprobe, index.card["lists"])
