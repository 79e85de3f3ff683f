"""What the engine ray costs over local on this machine: the image checks of ingest, on both in turn.

Usage: python -m bench.cluster [--photos 20000] [--rounds 2]  (about eight minutes on two cores)

Needs requirements-cluster.txt. Writes photos into a temporary folder, starts a cluster of one machine with as many
CPUs as there are cores, checks the photos by `local` and by `ray` in turn, and prints one Markdown table of the
seconds, which say nothing beside other programs. The shards of all runs must be equal. A single shard is checked on
both first, so that imports and the connection are no part of the times.
"""

import argparse
import logging
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from bench.generate import write_photos
from bench.ingest import params
from stages.core.determinism import runtime_params, start_process, use_runtime
from stages.core.files import file_digest, fresh_folder
from stages.core.log import show_log
from stages.ingest.reading import ImageFile
from stages.ingest.verify import check_images

IN_A_SHARD = 250
TARGET = 0.10  # of local's time
SECONDS = 60  # that a cluster may take to start
log = logging.getLogger(__name__)


@contextmanager
def cluster(folder: Path) -> Iterator[subprocess.Popen]:
    """A cluster of this machine, at RAY_ADDRESS, until the block ends; its first process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["ray", "start", "--head", "--block", f"--port={port}", f"--num-cpus={os.cpu_count()}"]
    command += ["--include-dashboard=false", "--disable-usage-stats", f"--temp-dir={folder}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.environ["RAY_ADDRESS"] = f"127.0.0.1:{port}"
    try:
        for line in process.stdout or ():
            if "runtime started" in line:
                break
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(SECONDS)


def check(engine: str, files: list[ImageFile], out: Path) -> float:
    """Seconds of the image checks."""
    use_runtime(runtime_params() | {"engine": engine})
    start = time.perf_counter()
    checks = check_images(files, "bench", params(-(-len(files) // IN_A_SHARD)), fresh_folder(out))
    assert len(checks.checked) == len(files), checks.rejected[:3]
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    if find_spec("ray") is None:
        print("cluster: not measured, as ray is not installed (pip install -r requirements-cluster.txt).")
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        size = write_photos(folder / "photos", args.photos)
        files = [ImageFile(path.stem, path) for path in sorted((folder / "photos").iterdir())]
        times: dict[str, list[float]] = {"local": [], "ray": []}
        digests = set()
        with cluster(folder / "ray"):
            for engine in times:
                check(engine, files[:IN_A_SHARD], folder / "out")
            for _ in range(args.rounds):
                for engine, own in times.items():
                    own.append(check(engine, files, folder / "out"))
                    log.info(f"{engine}: {own[-1]:.1f} s")
                    digests.add(file_digest(folder / "out"))
        assert len(digests) == 1, "the engines wrote different shards"
        print(f"{args.photos} photos of {size / 1e3:.0f} kB in shards of {IN_A_SHARD}, {os.cpu_count()} cores\n")
        print("| engine | seconds | photos a second |\n| --- | --- | ---: |")
        for engine, own in times.items():
            print(f"| {engine} | {', '.join(f'{run:.1f}' for run in own)} | {args.photos / min(own):.0f} |")
        print(f"\noverhead of ray: {min(times['ray']) / min(times['local']) - 1:+.1%} (target {TARGET:.0%})")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    start_process()
    show_log()
    main()
