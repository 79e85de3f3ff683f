"""Measure the wardrobe on this machine: seconds and memory of a search in a store that has not changed.

Usage: python -m bench.wardrobe [--photos FOLDER]  (part of `make bench`; some minutes on two cores)

Each size is measured in a process of its own, after its imports: open the store, look again at its folder, find the
query photo's garments and their matches. That is all that a second `make match` does after its start. The photos are
copies of a few under other names and with other bytes, as more are not at hand, and only those few are detected and
embedded: each copy gets the garments of the photo that it copies, and vectors that differ a little. So files, tables
and vectors have their true number and size. Needs the models of the active profile (`make repro`).
"""

import argparse
import json
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
from stages.core.params import load_params, lookup

log = logging.getLogger(__name__)

SIZES = (100, 1_000, 10_000)
TARGET = "1.5 s"
DIFFERENT = 20  # photos that are detected and embedded; the rest are their copies
NOISE = 0.02  # added to each number of a copy's vector, which has length 1
RUNS = 3


def originals(folder: Path | None) -> list[Path]:
    """The photos to copy: of ``folder``, or flat garments of the demo."""
    from stages.ingest.files import is_image, walk

    root = folder or Path(str(lookup(load_params(), "raw")), "deepfashion_mm", "images")
    found = sorted(entry.path for entry in walk(root) if not entry.kind and is_image(entry.path))
    if len(found) < 2:
        raise SystemExit(f"{root}: the bench needs photos there; run `make repro`, or name a folder with --photos")
    step = max(1, len(found) // (DIFFERENT + 1))
    return found[::step][: DIFFERENT + 1]


def fill(folder: Path, photos: list[Path], size: int) -> tuple[Path, float]:
    """Make a store of ``size`` photos in ``folder``; the query photo, and the seconds of a photo that is read."""
    import hashlib

    from stages.app.models import Models, stamp
    from stages.app.store import File, PhotoGarments
    from stages.app.wardrobe import Wardrobe

    query, *others = photos
    (folder / "photos").mkdir()
    for number in range(size):
        data = others[number % len(others)].read_bytes()
        (folder / "photos" / f"{number:05}.jpg").write_bytes(data + number.to_bytes(4, "big"))  # JPEG ends before
    models = Models.open()
    models.warm()
    wardrobe = Wardrobe(models, folder / "store")
    first = [folder / "photos" / f"{number:05}.jpg" for number in range(min(size, len(others)))]
    start = time.perf_counter()
    wardrobe.add(first)
    seconds = (time.perf_counter() - start) / len(first)
    store, results = wardrobe.store, wardrobe.store.results(wardrobe.key)
    table, rows = results.read()
    files = store.files()
    generator, found = np.random.default_rng(0), []
    width = rows.shape[1] - sum(map(len, models.heads.values()))
    of_photo: dict[str, list[dict]] = {}
    for row in table.to_pylist():
        of_photo.setdefault(row["sha256"], []).append(row)
    for number in range(len(first), size):
        path = folder / "photos" / f"{number:05}.jpg"
        own = of_photo[files[str(first[number % len(first)])].sha256 or ""]
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        files[str(path)] = File(str(path), stamp(path), sha)
        changed = rows[[row["row"] for row in own]].copy()
        changed[:, :width] += NOISE * generator.standard_normal((len(own), width), np.float32) / np.sqrt(width)
        changed[:, :width] /= np.linalg.norm(changed[:, :width], axis=1, keepdims=True)
        boxes = [None if row["x1"] is None else (row["x1"], row["y1"], row["x2"], row["y2"]) for row in own]
        garments = [(row["superclass"], row["confidence"], box) for row, box in zip(own, boxes, strict=True)]
        found.append(PhotoGarments(sha, (own[0]["width"], own[0]["height"]), garments, changed))
    results.append(found)
    store.write_files(files.values())
    store.write_roots(type(store.roots())([str(folder / "photos")]))
    return query, seconds


def measure(store: Path, photo: Path) -> None:
    """Print what one search costs after the imports, and what its parts cost."""
    from stages.app.models import Models, import_networks
    from stages.app.search import Filters
    from stages.app.wardrobe import Wardrobe

    import_networks()
    with Peak(0.01, allocated) as peak:
        start, busy = time.perf_counter(), time.process_time()
        wardrobe = Wardrobe(Models.open(), store)
        change = wardrobe.add([store.parent / "photos"], again=False)
        synced = time.perf_counter()
        query = wardrobe.read_query(photo)
        looked = time.perf_counter()
        within = Filters(within=(store.parent / "photos",))  # as `make match` searches
        found = [wardrobe.matches(one, filters=within, without=query.sha256) for one in query.garments]
        end, busy = time.perf_counter(), time.process_time() - busy
    assert change.counts["unchanged"] == change.photos
    parts = {
        "seconds": end - start,
        "cpu": busy,
        "store": synced - start,
        "look": looked - synced,
        "rank": end - looked,
    }
    counts = {"photos": change.photos, "garments": change.garments, "matches": sum(map(len, found))}
    print(json.dumps(parts | counts | {"megabytes": peak.megabytes - peak.start, "imports": peak.start}))


def line(cells: list[str]) -> None:
    """One line of the Markdown table."""
    print(f"| {' | '.join(cells)} |", flush=True)


def main(photos: Path | None) -> None:
    """Measure every size and print the table."""
    chosen = originals(photos)
    header = ["photos", "garments", "seconds", "target", "CPU seconds", "of these: store", "query photo", "ranking"]
    line([*header, "MB", "MB of the imports", "seconds to read a photo"])
    line(["---:"] * 11)
    for size in SIZES:
        log.info(f"wardrobe of {size:,} photos")
        with tempfile.TemporaryDirectory() as scratch:
            query, each = fill(Path(scratch), chosen, size)
            command = [sys.executable, "-m", "bench.wardrobe", "--measure", f"{scratch}/store", str(query)]
            runs = [
                json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
                for _ in range(RUNS)
            ]
        best = min(runs, key=lambda one: one["seconds"])
        cells = [f"{best['photos']:,}", f"{best['garments']:,}", f"{best['seconds']:.2f}", TARGET, f"{best['cpu']:.2f}"]
        cells += [f"{best[name]:.2f}" for name in ("store", "look", "rank")]
        line([*cells, f"{best['megabytes']:.0f}", f"{best['imports']:.0f}", f"{each:.2f}"])


if __name__ == "__main__":
    start_process()
    show_log()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, help="folder of photos to copy, instead of the demo's")
    parser.add_argument("--measure", nargs=2, type=Path, metavar=("STORE", "PHOTO"), help="used by the bench itself")
    given = parser.parse_args()
    if given.measure:
        measure(*given.measure)
    else:
        main(given.photos)
