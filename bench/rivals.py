"""What bench/gallery.py compares with: `PYTHON bench/rivals.py flat|usearch|flat-ranx FOLDER` prints a line of JSON.

It runs in an environment of its own, so it imports nothing of this project.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

WIDTH, NEIGHBORS, KS = 128, 10, [1, 2, 3, 4, 5, 10, 20, 30, 40, 50]


def peak_mb() -> float:
    """The largest resident size so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def searched(search: Callable[[np.ndarray], np.ndarray], queries: np.ndarray, folder: Path) -> dict:
    """Milliseconds of a query alone, and recall of the ten nearest by their rows."""
    nearest, took, hits = np.load(folder / "nearest.npz")["rows"], [], []
    search(queries[:1])
    for query, best in zip(queries, nearest, strict=True):
        start = time.perf_counter()
        rows = search(query[None])
        took.append(time.perf_counter() - start)
        hits.append(np.isin(best, rows).mean())
    times = {"ms": 1000 * float(np.mean(took)), "ms_95": 1000 * float(np.quantile(took, 0.95))}
    return times | {"recall": float(np.mean(hits)), "mb": peak_mb()}


def flat(folder: Path) -> dict:
    """faiss' exact index."""
    import faiss

    vectors = np.fromfile(folder / "gallery.f32", np.float32).reshape(-1, WIDTH)
    start, busy = time.perf_counter(), time.process_time()
    index = faiss.IndexFlatIP(WIDTH)
    index.add(vectors)
    built = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy}
    del vectors
    return built | searched(lambda query: index.search(query, NEIGHBORS)[1], np.load(folder / "queries.npy"), folder)


def usearch(folder: Path) -> dict:
    """usearch's HNSW with its defaults and vectors of one byte a dimension, on two threads."""
    from usearch.index import Index

    vectors = np.fromfile(folder / "gallery.f32", np.float32).reshape(-1, WIDTH)
    start, busy = time.perf_counter(), time.process_time()
    index = Index(ndim=WIDTH, metric="cos", dtype="i8")
    index.add(np.arange(len(vectors)), vectors, threads=2)
    index.save(str(folder / "usearch"))
    built = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - busy}
    built["file_mb"] = (folder / "usearch").stat().st_size / 1e6
    del vectors
    queries = np.load(folder / "queries.npy")
    return built | searched(lambda query: index.search(query[0], NEIGHBORS).keys, queries, folder)


def flat_ranx(folder: Path) -> dict:
    """The 50 nearest by faiss' exact index, and ranx' metrics of them; compiled before."""
    import faiss
    from ranx import Qrels, Run, evaluate

    metrics = ["map@50", *(f"{name}@{k}" for name in ("hit_rate", "precision", "recall", "ndcg") for k in KS)]
    queries, gallery, of_queries, of_gallery = (
        np.load(folder / f"{name}.npy") for name in ("queries", "gallery", "of_queries", "of_gallery")
    )
    small = {"a": {"b": 1}}
    evaluate(Qrels(small), Run({"a": {"b": 0.5}}), metrics)  # numba compiles
    rows: dict[int, dict[str, int]] = {}
    for row, item in enumerate(of_gallery.tolist()):
        rows.setdefault(item, {})[str(row)] = 1
    names = [str(row) for row in range(len(gallery))]
    start, busy = time.perf_counter(), time.process_time()
    index = faiss.IndexFlatIP(WIDTH)
    index.add(gallery)
    scores, nearest = index.search(queries, max(KS))
    known = {str(query): rows[item] for query, item in enumerate(of_queries.tolist()) if item in rows}
    found = {}
    for query in known:
        pairs = zip(nearest[int(query)].tolist(), scores[int(query)].tolist(), strict=True)
        found[query] = {names[row]: score for row, score in pairs}
    result = evaluate(Qrels(known), Run(found), metrics)
    seconds, busy = time.perf_counter() - start, time.process_time() - busy
    named = {"hit_at_1": "hit_rate@1", "hit_at_10": "hit_rate@10", "recall_at_10": "recall@10"}
    shown = {key: float(result[name]) for key, name in named.items()}
    return {"seconds": seconds, "cpu": busy, "mb": peak_mb(), "scores": shown}


if __name__ == "__main__":
    print(json.dumps({"flat": flat, "usearch": usearch, "flat-ranx": flat_ranx}[sys.argv[1]](Path(sys.argv[2]))))
