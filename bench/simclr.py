"""Measure SimCLR training on this machine against lightly's tutorial loop: images a second, and the final loss.

Usage: python -m bench.simclr [--photos FOLDER] [--images N] [--epochs N]   (part of `make bench`; three minutes on two
cores for 1,800 photos. Without --photos the photos that the demo draws are used.)

All loops train a ResNet-18 from the same weights at 64 px in batches of 128, with lightly's NT-Xent at the same
temperature, SGD and random crops, flips and colors of the same strength. An image counts once, with its two views.
They take turns, epoch by epoch, in one process, so that other work on the machine slows all of them. lightly's tutorial
decodes every photo in every epoch; our loops decode once, which counts in their first epoch. The loops are in
bench/simclr_loops.py and run without the pins of params ``runtime``, which would hide fast instructions.

On a busy machine compare the images per CPU second, with --threads 1: threads of oneDNN's bfloat16 kernels wait for
each other in a busy loop, which costs CPU time if another program uses one of the cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from stages.core.determinism import start_process

ROOT = Path(__file__).resolve().parents[1]
DEMO_PHOTOS = ROOT / "data/demo/raw/fashion_products/images"
# The params file of the folder in which the loops run.
PARAMS = """\
runtime:
  threads: {threads}
  deterministic: false
  pin_instruction_set: false
"""


def positive(text: str) -> int:
    """A number above 0, as a type for argparse."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, found {text}")
    return number


def main() -> None:
    """Run the loops in their own process and folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=DEMO_PHOTOS, help="a folder of JPEG or PNG files")
    parser.add_argument("--images", type=positive, help="use this many of them (default: all)")
    parser.add_argument("--epochs", type=positive, default=3)
    parser.add_argument(
        "--threads", type=positive, default=os.cpu_count(), help="of each loop, and loader processes of lightly's"
    )
    args = parser.parse_args()
    if not args.photos.is_dir():
        sys.exit(f"{args.photos}: no such folder. Name one with --photos, or let `make repro` draw the demo's photos.")
    numbers = [str(args.images or 0), str(args.epochs)]
    loops = [sys.executable, "-m", "bench.simclr_loops", str(args.photos.absolute()), *numbers]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "params.yaml").write_text(PARAMS.format(threads=args.threads), encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "SEAMLINE_DEVICE": "cpu"}
        sys.exit(subprocess.run(loops, cwd=folder, env=environment, check=False).returncode)


if __name__ == "__main__":
    start_process()
    main()
