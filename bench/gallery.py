"""Measure searches in large galleries on this machine, beside faiss' exact search with ranx' metrics, and usearch.

Usage: python -m bench.gallery [--rivals PYTHON] [--sizes 1000000,10000000]  (part of `make bench`, with a million)

1. In-Shop's size, 14,218 x 12,612 x 128: the evaluator (exact ranks, every metric up to k = 50, two views, intervals)
   beside faiss' flat index with the 50 nearest and the same metrics by ranx, which is less: no rank beyond 50.
2. A gallery of a million vectors x 128, on demand of ten: the index of `search.index: ivf` is built from a file of
   vectors in one process and searched in another, one query at a time; usearch (HNSW) and faiss' flat index beside it,
   for a million. Recall is that of the ten nearest, of queries that are not in the gallery.

The vectors are a mixture: ``KINDS`` centers from a normal distribution, the i-th with a share of 1 / i ** .7 of the
items; an item is its kind's center plus .8 times a normal vector in one of ``PLANES`` planes of 32 dimensions; its
``PHOTOS`` photos are the item plus normal noise of .4. Queries are more photos of such items. All are of length 1.

faiss for comparison, usearch and ranx come from an environment of their own, as ranx needs numba:
    python -m venv .work/rivals && .work/rivals/bin/pip install faiss-cpu usearch ranx
Memory is the largest resident size of a process (VmHWM), with what it maps of files.
"""

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from bench.retrieval import INSHOP, KS, line
from stages.core.determinism import start_process
from stages.core.log import show_log
from stages.retrieval.index import NEIGHBORS, build, exact_nearest, read_index, recall
from stages.retrieval.metrics import EvaluateParams, evaluate
from stages.retrieval.similarity import Rows

log = logging.getLogger(__name__)

WIDTH, KINDS, PLANES, PHOTOS, QUERIES = 128, 2_000, 16, 8, 300
CHUNK = 100_000  # rows that are drawn, written and read at a time
RECALL = 0.95
TARGETS = {"ms": "50", "recall": "0.95", "mb": "6,000"}
PINS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE",
        "GLIBC_TUNABLES")  # fmt: skip
RIVALS = Path(".work/rivals/bin/python")


def mixture(rows: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Chunks of the gallery float32 [m, WIDTH], the items of their rows [m], and queries [q, WIDTH]."""
    fixed = np.random.default_rng(99)
    centers = fixed.standard_normal((KINDS, WIDTH), np.float32)
    planes = fixed.standard_normal((PLANES, 32, WIDTH), np.float32) / np.float32(32**0.5)
    shares = np.arange(1, KINDS + 1) ** -0.7
    chunks = -(-rows // CHUNK)
    for chunk in range(chunks):
        random = np.random.default_rng((seed, chunk))
        count = min(CHUNK, rows - chunk * CHUNK)
        kinds = random.choice(KINDS, -(-count // PHOTOS), p=shares / shares.sum())
        items = centers[kinds]
        for plane in range(PLANES):
            inside = kinds % PLANES == plane
            items[inside] += 0.8 * random.standard_normal((inside.sum(), 32), np.float32) @ planes[plane]
        own = np.repeat(np.arange(len(items)), PHOTOS)[:count]
        asked = random.integers(0, len(items), QUERIES * (chunk + 1) // chunks - QUERIES * chunk // chunks)
        both = items[np.concatenate([own, asked])]
        both += 0.4 * random.standard_normal(both.shape, np.float32)
        both /= np.linalg.norm(both, axis=1, keepdims=True)
        yield both[:count], chunk * CHUNK + own, both[count:]


def draw(rows: int, folder: Path) -> None:
    """Write gallery.f32 and queries.npy, and the ten nearest rows of each query with their scores: nearest.npz."""
    queries = []
    with (folder / "gallery.f32").open("wb") as stream:
        for vectors, _, asked in mixture(rows):
            stream.write(vectors.tobytes())
            queries.append(asked)
    np.save(folder / "queries.npy", np.concatenate(queries))
    scores, nearest = exact_nearest(batches(folder), np.concatenate(queries), NEIGHBORS, "cosine")
    np.savez(folder / "nearest.npz", scores=scores, rows=nearest)


def batches(folder: Path) -> Callable[[], Iterator[np.ndarray]]:
    """Reads the gallery, a chunk at a time."""

    def read() -> Iterator[np.ndarray]:
        with (folder / "gallery.f32").open("rb") as stream:
            while len(vectors := np.fromfile(stream, np.float32, CHUNK * WIDTH)):
                yield vectors.reshape(-1, WIDTH)

    return read


def peak_mb() -> float:
    """The largest resident size of this process so far, in megabytes."""
    status = Path("/proc/self/status").read_text().splitlines()
    (kilobytes,) = (row.split()[1] for row in status if row.startswith("VmHWM"))
    return int(kilobytes) * 1024 / 1e6


def build_index(folder: Path) -> dict[str, Any]:
    """Build and write the index."""
    rows = (folder / "gallery.f32").stat().st_size // 4 // WIDTH
    start, busy = time.perf_counter(), time.process_time()
    index = build(batches(folder), rows, "cosine", RECALL)
    index.write(folder / "index.ivf")
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    return {"seconds": seconds, "cpu": busy, "mb": peak_mb()} | index.card


def search_index(folder: Path) -> dict[str, Any]:
    """Search for each query alone."""
    queries, known = np.load(folder / "queries.npy"), np.load(folder / "nearest.npz")
    vectors = np.memmap(folder / "gallery.f32", np.float32, "r").reshape(-1, WIDTH)
    index = read_index(folder / "index.ivf")
    index.nearest(vectors, queries[:1], NEIGHBORS)
    took, scores = [], []
    for query in queries:
        start = time.perf_counter()
        scores.append(index.nearest(vectors, query[None], NEIGHBORS)[0])
        took.append(time.perf_counter() - start)
    share = recall(np.concatenate(scores), known["scores"], np.full(len(queries), 2.0))
    slowest = float(np.quantile(took, 0.95))
    return {"ms": 1000 * float(np.mean(took)), "ms_95": 1000 * slowest, "recall": share, "mb": peak_mb()}


def inshop_vectors() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Queries and gallery of In-Shop's size, and their items."""
    queries, gallery, items = INSHOP
    random = np.random.default_rng(1)
    of_queries, of_gallery = random.integers(0, items, queries), random.integers(0, items, gallery)
    centers = random.standard_normal((items, WIDTH), np.float32)
    sides = (
        centers[own] + random.standard_normal((len(own), WIDTH), np.float32) * np.float32(1.2)
        for own in (of_queries, of_gallery)
    )
    vectors, others = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in sides)
    return vectors, others, of_queries, of_gallery


def evaluate_inshop(folder: Path) -> dict[str, Any]:
    """The evaluator on vectors in memory."""
    del folder
    vectors, others, of_queries, of_gallery = inshop_vectors()
    queries, gallery = (
        Rows(first + np.arange(len(own)), own, own % 23, side, np.ones(len(own), bool))
        for first, own, side in ((0, of_queries, vectors), (10**9, of_gallery, others))
    )
    params = EvaluateParams(ks=KS, bootstrap_samples=1000, seed=0, memory_mb=512)
    start, busy = time.perf_counter(), time.process_time()
    scores = evaluate(queries, gallery, "cosine", params)["whole_gallery"]
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    shown = {key: scores[key] for key in ("hit_at_1", "hit_at_10", "recall_at_10")}
    return {"seconds": seconds, "cpu": busy, "mb": peak_mb(), "scores": shown}


MEASURED = {"build": build_index, "search": search_index, "inshop": evaluate_inshop}


def in_process(name: str, folder: Path) -> dict[str, Any]:
    """The result of a measurement in a process of its own."""
    log.info(f"{name} in {folder}")
    command = [sys.executable, "-m", "bench.gallery", "--measure", name, str(folder)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def by_rival(python: Path, name: str, folder: Path) -> dict[str, Any] | None:
    """The same by bench/rivals.py, with this machine's whole instruction set; None where it is not installed."""
    if not python.is_file():
        log.info(f"{name}: no {python}; `python -m bench.gallery --help` says how to install it")
        return None
    log.info(f"{name} by {python}")
    environment = {key: value for key, value in os.environ.items() if key not in PINS}
    command = [str(python), str(Path(__file__).with_name("rivals.py")), name, str(folder)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout)


def cells(result: dict[str, Any], *keys: str) -> list[str]:
    """Values as text; a dash where there is none."""
    digits = {"seconds": 1, "cpu": 1, "ms": 2, "ms_95": 2, "recall": 3, "mb": 0, "file_mb": 0}
    return [f"{result[key]:,.{digits[key]}f}" if key in result else "-" for key in keys]


def at_inshop(python: Path) -> None:
    """Measure and print the first table."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, array in zip(("queries", "gallery", "of_queries", "of_gallery"), inshop_vectors(), strict=True):
            np.save(folder / f"{name}.npy", array)
        ours, rival = in_process("inshop", folder), by_rival(python, "flat-ranx", folder)
    line(["In-Shop's size, exact", "seconds", "CPU seconds", "MB of the process", "hit@1", "hit@10", "recall@10"])
    line(["---", *["---:"] * 6])
    for name, result in (("evaluator", ours), ("faiss flat, top 50, and ranx", rival)):
        if result:
            scores = [f"{value:.4f}" for value in result["scores"].values()]
            line([name, *cells(result, "seconds", "cpu", "mb"), *scores])


def at_size(rows: int, python: Path) -> None:
    """Measure and print the rows of a size."""
    with tempfile.TemporaryDirectory(dir=".work") as scratch:
        folder = Path(scratch)
        log.info(f"drawing {rows:,} vectors")
        start = time.perf_counter()
        draw(rows, folder)
        log.info(f"drawn, and searched exactly by all queries, in {time.perf_counter() - start:.0f} s")
        built = in_process("build", folder)
        searched = in_process("search", folder)
        size = (folder / "index.ivf").stat().st_size / 1e6
        label = f"ivf, {built['lists']:,} lists, nprobe {built['nprobe']}"
        both = built | searched | {"mb": max(built["mb"], searched["mb"]), "file_mb": size}
        row(rows, label, both)
        for name in ("flat", "usearch") if rows <= 1_000_000 else ():
            if result := by_rival(python, name, folder):
                row(rows, f"{name} (rival)", result)


def row(rows: int, name: str, result: dict[str, Any]) -> None:
    """Print a row of the second table."""
    line([f"{rows:,}", name, *cells(result, "seconds", "cpu", "mb", "file_mb", "ms", "ms_95", "recall")])


def main(python: Path, sizes: list[int]) -> None:
    """Measure everything and print the tables."""
    at_inshop(python)
    print()
    line(["vectors x 128", "search", "seconds to build", "CPU seconds", "MB, at most", "MB of the file",
          f"ms a query (target {TARGETS['ms']})", "95 % below", f"recall@10 (target {TARGETS['recall']})"])  # fmt: skip
    line(["---:", "---", *["---:"] * 7])
    Path(".work").mkdir(exist_ok=True)
    for rows in sizes:
        at_size(rows, python)


if __name__ == "__main__":
    start_process()
    show_log()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", type=Path, default=RIVALS, metavar="PYTHON", help="default: %(default)s")
    parser.add_argument("--sizes", default="1000000", help="rows of the galleries, such as 1000000,10000000")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help="used by the bench itself")
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(MEASURED[given.measure[0]](Path(given.measure[1]))))
    else:
        main(given.rivals, [int(size) for size in given.sizes.split(",") if size])
