"""Measure the evaluator on this machine: seconds and memory at In-Shop's size and for a gallery of a million vectors.

Usage: python -m bench.retrieval  (part of `make bench`; about ten minutes on two cores, 2 GB of temporary disk)

Each measurement runs `stages.retrieval.metrics.evaluate` in its own process: exact ranks of all relevant rows in both
views, every metric up to k = 50, averages by category and 1,000 bootstrap samples, without reading files. CPU seconds
are the sum over all cores, which tell more than seconds on a busy machine.

Memory is what the process allocates (RssAnon) in addition to the memory before the call, which has the vectors. At
In-Shop's size the vectors are in memory; the million is float32 in a memory-mapped .npy file, whose pages do not
count. Vectors are noisy copies of one center for each item.
"""

import argparse
import logging
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.memory import Peak, allocated
from stages.core.determinism import start_process
from stages.core.log import show_log
from stages.retrieval.metrics import EvaluateParams, evaluate
from stages.retrieval.similarity import Rows

log = logging.getLogger(__name__)

WIDTH = 512
INSHOP = (14_218, 12_612, 3_985)  # queries, gallery, items of DeepFashion In-Shop
MILLION = (200, 1_000_000, 250_000)
CATEGORIES = (40_000, 209_000, 46)  # DeepFashion Category and Attribute Prediction, whose items are categories
KS = [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]
CASES = {  # name -> (sizes, metric, vectors, memory_mb)
    "inshop": (INSHOP, "cosine", "noisy", 512),
    "inshop-euclidean": (INSHOP, "euclidean", "noisy", 512),
    "inshop-constant": (INSHOP, "cosine", "constant", 512),
    "million-256": (MILLION, "cosine", "noisy", 256),
    "million-1024": (MILLION, "cosine", "noisy", 1024),
    "categories": (CATEGORIES, "cosine", "noisy", 4096),
}
TARGETS = {"inshop": ("5.0 s", "1,000 MB"), "million-256": ("-", "256 MB"), "million-1024": ("-", "1,024 MB"),
           "categories": ("600 s", "4,096 MB")}  # fmt: skip
STEP = 20_000  # rows drawn at a time


def draw(items: np.ndarray, kind: str, seed: int, path: Path | None) -> np.ndarray:
    """float32 [n, WIDTH], in memory or in a memory-mapped file; the center of an item is the same for every seed."""
    shape = (len(items), WIDTH)
    vectors = np.empty(shape, np.float32) if path is None else np.lib.format.open_memmap(path, "w+", np.float32, shape)
    if kind == "constant":
        vectors[:] = np.random.default_rng(0).standard_normal(WIDTH, np.float32)
        return vectors
    noise = np.random.default_rng(seed)
    directions = np.random.default_rng(0).standard_normal((64, WIDTH), np.float32)
    for start in range(0, len(items), STEP):
        some = items[start : start + STEP]
        # A center is a signed sum of a few directions, chosen by the item's number.
        signs = 2 * ((some[:, None] >> np.arange(18)) & 1) - 1
        centers = signs.astype(np.float32) @ directions[:18] / 4
        vectors[start : start + len(some)] = centers + 2 * noise.standard_normal((len(some), WIDTH), np.float32)
    if path is None:
        return vectors
    vectors.flush()
    return np.load(path, mmap_mode="r")


def case(name: str, folder: Path, asked: int | None) -> tuple[Rows, Rows]:
    """Queries (``asked`` of them, or all) and gallery of a case."""
    sizes, _, kind, _ = CASES[name]
    queries, gallery, items = sizes
    queries = asked or queries
    generator = np.random.default_rng(1)
    if sizes == CATEGORIES:
        # Upstream's largest category has a quarter of the images, so that its queries have 50,000 relevant rows.
        shares = 1 / np.arange(1, items + 1) ** 1.1
        query_items, gallery_items = (generator.choice(items, n, p=shares / shares.sum()) for n in (queries, gallery))
        kinds = items
    else:
        query_items, gallery_items = generator.integers(0, items, queries), generator.integers(0, items, gallery)
        kinds = 23
    path = folder / "gallery.npy" if gallery > 100_000 else None
    return tuple(
        Rows(first + np.arange(len(own)), own, own % kinds, draw(own, kind, seed, where), np.ones(len(own), bool))
        for first, own, seed, where in ((0, query_items, 2, None), (10**9, gallery_items, 3, path))
    )


def measure(name: str, asked: int | None) -> None:
    """Print seconds, seconds of all cores together, megabytes, hit@1 and chance of one case.

    Where items are categories, the nearest rows also vote, as in benchmarks of categories.
    """
    _, metric, _, memory_mb = CASES[name]
    params = EvaluateParams(ks=KS, bootstrap_samples=1000, seed=0, memory_mb=memory_mb)
    with tempfile.TemporaryDirectory() as folder:
        queries, gallery = case(name, Path(folder), asked)
        with Peak(0.01, allocated) as peak:
            start, busy = time.perf_counter(), time.process_time()
            result = evaluate(queries, gallery, metric, params, categories_too=name == "categories")
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        seconds,
        busy,
        peak.megabytes - peak.start,
        result["whole_gallery"]["hit_at_1"],
        result["chance"]["whole_gallery"]["hit_at_1"],
    )


def line(cells: list[str]) -> None:
    """One line of the Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Measure every case and print the table."""
    header = ["scoring", "queries x gallery x dimensions", "memory_mb", "seconds", "target", "CPU seconds"]
    line([*header, "MB above the vectors", "target", "hit@1", "chance"])
    line(["---", "---", *["---:"] * 8])
    for name, ((queries, gallery, _), metric, kind, memory_mb) in CASES.items():
        log.info(f"{name}: {queries:,} x {gallery:,}")
        command = [sys.executable, "-m", "bench.retrieval", "--measure", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds, busy, megabytes, hit, chance = map(float, done.stdout.split())
        time_target, memory_target = TARGETS.get(name, ("-", "-"))
        about = [f"{metric}, {kind} vectors", f"{queries:,} x {gallery:,} x {WIDTH}", str(memory_mb)]
        measured = [f"{seconds:.1f}", time_target, f"{busy:.1f}", f"{megabytes:.0f}", memory_target]
        line([*about, *measured, f"{hit:.3f}", f"{chance:.6f}"])


if __name__ == "__main__":
    start_process()
    show_log()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", choices=CASES, help="one case (used by the bench itself)")
    parser.add_argument("--queries", type=int, help="number of queries of the case, instead of all")
    given = parser.parse_args()
    if given.measure:
        measure(given.measure, given.queries)
    else:
        main()
