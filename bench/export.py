"""Measure the way from a photo to its garments twice: by `make match`'s own code, and by the exported reader.

Usage: python -m bench.export [--photos FOLDER] [--count 40]   (part of `make bench`; the models of the active profile)

Each has a process of its own, one after the other, with as many threads as there are cores. *ready* is from the start
of the process until the networks are loaded, *a photo* the mean of all but the first: decode, detect, cut, describe.
CPU seconds are the sum over all cores, which tell more than seconds on a busy machine.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from stages.core.determinism import start_process

ROOT = Path(__file__).resolve().parents[1]
DEMO_PHOTOS = ROOT / "data/demo/raw/deepfashion_mm/images"
READER = """\
import json, sys, time
start = float(sys.argv[1])
sys.path.insert(0, sys.argv[2])
from reader import Reader
reader = Reader()
times = [(time.time() - start, time.process_time())]
for photo in sys.argv[3:]:
    reader.read(photo)
    times.append((time.time() - start, time.process_time()))
print(json.dumps(times))
"""
Times = list[
    tuple[float, float]
]  # seconds since the start and CPU seconds, when the networks are loaded and after each photo


def own(start: float, photos: Sequence[Path]) -> Times:
    """The times of `make match`'s own code."""
    from stages.app.garments import embed, find_garments, inputs
    from stages.core.determinism import seed_everything
    from stages.core.params import load_params, section
    from stages.crops.params import CropParams
    from stages.networks.classifier import ClassifierEncoder
    from stages.networks.detector.model import load_detectors
    from stages.networks.detector.params import NmsParams

    content = load_params()
    seed_everything(0)
    params, nms = section(CropParams, "crops", content), section(NmsParams, "nms", content)
    models = Path("models") / content["profile"]
    detectors = list(load_detectors(models / "detectors", content["detectors"]).values())
    for detector in detectors:
        assert detector._fused is not None  # networks are built on first use
    encoder = ClassifierEncoder(models / "encoders" / "classifier")
    times = [(time.time() - start, time.process_time())]
    for photo in photos:
        garments = find_garments(photo, detectors, params, nms)
        embed(garments, encoder)
        encoder.attributes(*inputs(garments, encoder))
        times.append((time.time() - start, time.process_time()))
    return times


def means(times: Times) -> list[float]:
    """Seconds and CPU seconds until it is ready, then of a photo."""
    (first, busy_first), (last, busy_last) = times[1], times[-1]
    count = len(times) - 2
    return [*times[0], (last - first) / count, (busy_last - busy_first) / count]


def main() -> None:
    """Export, run both, print the table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=DEMO_PHOTOS, help="a folder of JPEG files")
    parser.add_argument("--count", type=int, default=40, help="how many of them")
    parser.add_argument("--own", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.own:
        print(json.dumps(own(float(args.own[0]), [Path(name) for name in args.own[1:]])))
        return
    photos = [str(path.absolute()) for path in sorted(args.photos.rglob("*.jpg"))[: args.count]]
    if len(photos) < 3:
        sys.exit(f"{args.photos}: {len(photos)} .jpg files, expected 3 or more. Name a folder with --photos.")
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/export"
        if status := subprocess.run([sys.executable, "-m", "stages.run", "export", out], check=False).returncode:
            sys.exit(status)
        commands = {
            "`make match`": lambda: [sys.executable, "-m", "bench.export", "--own", str(time.time()), *photos],
            "reader.py": lambda: [sys.executable, "-I", "-c", READER, str(time.time()), out, *photos],
        }
        seconds = {}
        for name, command in commands.items():
            done = subprocess.run(command(), check=True, stdout=subprocess.PIPE, text=True)
            seconds[name] = json.loads(done.stdout.splitlines()[-1])
    shown = {name: means(times) for name, times in seconds.items()}
    print(f"| {len(photos)} photos | ready, s | CPU s | a photo, ms | CPU ms |\n| --- | ---: | ---: | ---: | ---: |")
    for name, (ready, busy, photo, busy_photo) in shown.items():
        print(f"| {name} | {ready:.2f} | {busy:.2f} | {photo * 1000:.1f} | {busy_photo * 1000:.1f} |")
    own_way, reader = shown.values()
    print(
        f"`make match` takes {own_way[2] / reader[2]:.2f} times the reader's seconds for a photo, and "
        f"{own_way[3] / reader[3]:.2f} times its CPU seconds."
    )


if __name__ == "__main__":
    start_process()
    main()
