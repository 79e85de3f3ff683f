"""Measure ingest on this machine: annotations and images a second, near-duplicate search, and peak memory.

Usage: python -m bench.ingest  (`make bench`; about two minutes on two cores, SEAMLINE_WORKERS sets the processes)

Generates DeepFashion2-like annotations, photos and fingerprints in a temporary folder, prints one Markdown table.
Memory is measured for two sizes, each in its own process and with the same number of images in a shard: it must not
grow with the number of images.
"""

import argparse
import logging
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from bench.generate import SIZE, fingerprints, write_annotations, write_photos
from bench.memory import Peak
from stages.contracts.ledger import Account
from stages.contracts.tables import OBJECTS, write_rows
from stages.core.determinism import start_process
from stages.core.log import show_log
from stages.core.parallel import workers
from stages.ingest import ingest as run
from stages.ingest.box_repair import repair, to_pixels
from stages.ingest.fingerprint import near_duplicates
from stages.ingest.readers import deepfashion2
from stages.ingest.reading import IngestParams, Request

log = logging.getLogger(__name__)

ANNOTATIONS = 12_000
IMAGES_IN_A_SHARD = 250
SHARDS = 4  # of the smaller run; the larger one has four times as many, of the same size
NEAR = (5_000, 20_000, 192_000)  # the last is DeepFashion2's training set
HAMMING, COLOR = 12, 4  # as in the profiles
TARGETS = {"annotations": 1500, "images": 300}


def params(shards: int) -> IngestParams:
    """Section ingest.deepfashion2 as in the profiles."""
    return IngestParams(
        reader="deepfashion2",
        shards=shards,
        min_side=32,
        max_pixels=50_000_000,
        duplicates="drop",
        near_hamming=HAMMING,
        near_color=COLOR,
        val_share=0.1,
        voc=None,
        shoes=None,
        catalogue=None,
    )


def seconds(job: Callable[[], Any]) -> float:
    """Seconds that a job takes."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def draw(root: Path, images: int, annotations: int) -> tuple[int, int]:
    """A tree with ``images`` photos and ``annotations`` JSON files; mean bytes of a photo and of an annotation.

    If there are fewer photos than annotations, photos are used again under other names.
    """
    for name in ("image", "annos"):
        (root / "validation" / name).mkdir(parents=True)
    folder = root / "train" / "image"
    sizes = write_photos(folder, images), write_annotations(root / "train" / "annos", annotations)
    for number in range(images + 1, annotations + 1):
        (folder / f"{number:06d}.jpg").hardlink_to(folder / f"{number % images + 1:06d}.jpg")
    return sizes


def read_annotations(root: Path, out: Path) -> None:
    """Everything that ingest does with annotations: read, check, repair by the images' sizes, write."""
    account = Account("bench")
    reading = deepfashion2.read(Request("bench", root, root, Path("tables"), params(1), account))
    sizes = {image.image_id: SIZE for image in reading.images}
    rows = to_pixels(reading.objects, reading.units, sizes, None, account.ledger("objects"))
    boxes = repair(rows, sizes, account.ledger("objects"))
    if len(boxes) != 2 * ANNOTATIONS:
        raise SystemExit(f"the bench drew {2 * ANNOTATIONS} boxes and {len(boxes)} passed: it measures something else")
    write_rows(out, OBJECTS, sorted(boxes, key=lambda row: row["object_id"]))


def whole_stage(root: Path, out: Path, shards: int) -> None:
    """Ingest from reading to written shards."""
    args = argparse.Namespace(source="bench", raw=root, annotations=root, tables=Path("tables"), out=out)
    run.main(args, SimpleNamespace(ingest=params(shards)))


def memory(shards: int) -> tuple[float, float]:
    """(peak MB, seconds) of the stage on ``shards`` shards of the same size, in a process of its own."""
    command = [sys.executable, "-m", "bench.ingest", "--memory", str(shards)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    peak, elapsed = done.stdout.split()
    return float(peak), float(elapsed)


def measure_memory(shards: int) -> None:
    """Print peak MB and seconds of one run."""
    folder = Path(tempfile.mkdtemp())
    try:
        draw(folder / "raw", shards * IMAGES_IN_A_SHARD, shards * IMAGES_IN_A_SHARD)
        with Peak() as peak:
            elapsed = seconds(lambda: whole_stage(folder / "raw", folder / "out", shards))
        print(peak.megabytes, elapsed)
    finally:
        shutil.rmtree(folder)


def main() -> None:
    """Measure everything and print the table."""
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "raw"
        log.info(f"drawing {ANNOTATIONS} annotations")
        _, size = draw(root, 10, ANNOTATIONS)
        rate = ANNOTATIONS / seconds(lambda: read_annotations(root, Path(folder) / "objects.parquet"))
    rows.append((f"annotations ({size / 1000:.1f} kB of JSON each)", f"{rate:.0f}/s", f"{TARGETS['annotations']}/s"))
    peaks = {}
    for shards in (SHARDS, 4 * SHARDS):
        images = shards * IMAGES_IN_A_SHARD
        log.info(f"reading, checking and writing {images} images")
        peaks[shards], elapsed = memory(shards)
    # The rate of the larger run, because the smaller one mostly starts processes.
    rate = images / elapsed
    rows.append((f"images, whole stage ({images} of 400x533)", f"{rate:.0f}/s", f"{TARGETS['images']}/s"))
    for count in NEAR:
        log.info(f"near duplicates among {count}")
        prints = fingerprints(count)
        elapsed = seconds(lambda prints=prints: near_duplicates(prints, HAMMING, COLOR))
        rows.append((f"near duplicates among {count:,} (one process)", f"{elapsed:.1f} s", "-"))
    for shards, peak in peaks.items():
        rows.append((f"peak memory, {shards} shards of {IMAGES_IN_A_SHARD} images", f"{peak:.0f} MB", "-"))
    growth = peaks[4 * SHARDS] / peaks[SHARDS]
    rows.append(("memory of four times as many images", f"{growth:.2f} times", "below 1.25 times"))
    print(f"| measured with {workers()} processes | here | target |\n| --- | ---: | ---: |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    start_process()
    show_log()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--memory", type=int, metavar="SHARDS", help="only the memory of one run (used by the bench itself)"
    )
    given = parser.parse_args().memory
    if given:
        measure_memory(given)
    else:
        main()
