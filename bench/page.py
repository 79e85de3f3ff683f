"""Measure the local page under load: requests per second, waiting times, and memory, with many garments.

Usage: python -m bench.page [--clients 8] [--seconds 300] [--photos 10000]  (part of `make bench`)

It makes a store in a temporary folder and starts the page as `seamline app` does, in a process of its own. The photos
are copies of the demo's, each made another file by a few bytes behind its end; what the models find in a photo is
found once, and each copy gets it with a little noise. So nothing but the searches is measured, and they see as many
garments as asked for. Each client sends a photo, loads it and the pictures of its first matches, then searches in other
ways, corrects a box, lists the wardrobe, and begins again.

Memory is the resident set of the server's process, its largest value over the run.
"""

import argparse
import hashlib
import http.client
import json
import logging
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from bench.memory import Peak, family, resident
from stages.app.items import QueryGarment
from stages.app.models import Models, stamp
from stages.app.store import File, PhotoGarments, Roots
from stages.app.wardrobe import Wardrobe
from stages.contracts.images import check
from stages.core.determinism import start_process
from stages.core.log import show_log
from stages.web.doc_pictures import served

log = logging.getLogger(__name__)

SOURCES = ("fashion_products", "deepfashion_mm")  # of the demo, whose photos are copied
LOOKED_AT = 200  # photos that the models see to fill the store
SENT = 200  # other photos that clients send
SMALLEST = 40  # pixels of a side: the models see no garment in less
NOISE = 0.02  # standard deviation that a copy's vector differs by, before it is scaled to length 1
PICTURES = 12  # of matches that a client loads
TARGET = "2,000 MB"


def photos_of(data: Path) -> list[Path]:
    """Photos of the demo, in an order that mixes them, without the files that are broken on purpose."""
    paths = sorted(path for source in SOURCES for path in (data / "raw" / source).rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    photos = [path for path in paths[: 2 * (LOOKED_AT + SENT)] if is_whole(path)]
    if len(photos) < LOOKED_AT + SENT:
        raise SystemExit(f"{data}/raw: {len(photos)} photos. Run `make repro` with the profile demo first.")
    return photos


def is_whole(path: Path) -> bool:
    """Whether a file is a picture that can be read."""
    try:
        return min(check(path.read_bytes())) >= SMALLEST
    except (OSError, ValueError, SyntaxError):
        return False


def rows_of(garments: Sequence[QueryGarment], noise: np.random.Generator) -> np.ndarray:
    """float32 [n, width] as the store holds them: noisy vectors, then probabilities."""
    vectors = np.stack([garment.vector for garment in garments])
    vectors = vectors + noise.normal(0, NOISE, vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.concatenate([vectors, np.stack([garment.probabilities for garment in garments])], axis=1).astype("<f4")


def fill(wardrobe: Wardrobe, sources: Sequence[Path], folder: Path, count: int) -> int:
    """Write ``count`` photos into a folder and what was found in them into the store; how many garments there are."""
    noise, found, files = np.random.default_rng(0), [], []
    looks = [(path.read_bytes(), wardrobe.read_query(path)) for path in sources]
    for number in range(count):
        data, query = looks[number % len(looks)]
        path = folder / f"{number:05d}.jpg"
        path.write_bytes(data + number.to_bytes(4, "big"))
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        boxes = [(garment.superclass, garment.confidence, garment.box) for garment in query.garments]
        found.append(PhotoGarments(sha, (query.width, query.height), boxes, rows_of(query.garments, noise)))
        files.append(File(str(path), stamp(path), sha))
    with wardrobe.store.writing():
        wardrobe.store.results(wardrobe.key).append(found)
        wardrobe.store.write_files(files)
        wardrobe.store.write_roots(Roots([str(folder)]))
    return wardrobe.count()


class Client(threading.Thread):
    """One visitor.

    Attributes:
        times: what was asked -> seconds of each answer.
        errors: what was asked, with the status -> how often.
    """

    def __init__(self, address: str, photos: Sequence[Path], until: float, seed: int) -> None:
        super().__init__(daemon=True)
        self.origin, self.photos, self.until = address.rstrip("/"), photos, until
        self.random = random.Random(seed)
        self.times: dict[str, list[float]] = {}
        self.errors: Counter[str] = Counter()
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)

    def ask(self, what: str, method: str, path: str, body: bytes | None = None) -> str:
        """The answer's text; empty, and counted, where it is an error."""
        started = time.perf_counter()
        try:
            self.connection.request(method, path, body, {"Origin": self.origin} if body else {})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.errors[f"{what}: {type(error).__name__}"] += 1
            self.connection.close()
            return ""
        self.times.setdefault(what, []).append(time.perf_counter() - started)
        if answer.status != 200:
            self.errors[f"{what}: {answer.status}"] += 1
            return ""
        return data.decode("utf-8", "replace")

    def run(self) -> None:
        """Visit until the time is over."""
        while time.monotonic() < self.until:
            data = self.random.choice(self.photos).read_bytes()
            text = self.ask("send a photo", "POST", "/photos?name=look.jpg", data)
            if not (photo := re.search(r'data-photo="([^"]+)"', text)):
                continue
            self.ask("load a picture", "GET", f"/photos/{photo[1]}/picture")
            for item in re.findall(r'src="(/items/[^"]+)"', text)[:PICTURES]:
                self.ask("load a picture", "GET", item)
            for words in ({"mode": "ideas"}, {"superclass": "*"}, {"attributes": {"color": "Blue"}}):
                body = json.dumps({"garment": 0} | words).encode()
                self.ask("search again", "POST", f"/photos/{photo[1]}/search", body)
            classes = re.findall(r'data-superclass="(\w+)"', text)
            body = json.dumps({"garment": 0, "superclass": classes[0], "box": None}).encode()
            self.ask("correct a garment", "POST", f"/photos/{photo[1]}/garments", body)
            self.ask("list the wardrobe", "GET", f"/items?start={48 * self.random.randrange(100)}")


def measure(clients: int, seconds: float, count: int) -> int:
    """Print the table; the exit status: 1 where an answer was an error."""
    sources = photos_of(Path("data/demo"))
    with tempfile.TemporaryDirectory() as folder:
        photos, store = Path(folder, "photos"), Path(folder, "store")
        photos.mkdir()
        wardrobe = Wardrobe(Models.open(), store)
        garments = fill(wardrobe, sources[:LOOKED_AT], photos, count)
        log.info(f"{garments:,} garments in {count:,} photos; {clients} clients for {seconds:.0f} seconds")
        with served(store) as (address, process):
            Client(address, sources[:1], 0, 0).ask("warm", "GET", "/")
            until = time.monotonic() + seconds
            visitors = [Client(address, sources[LOOKED_AT:], until, seed) for seed in range(clients)]
            with Peak(0.1, lambda: sum(map(resident, family(process)))) as peak:
                for visitor in visitors:
                    visitor.start()
                for visitor in visitors:
                    visitor.join()
            errors = sum((visitor.errors for visitor in visitors), Counter())
    print("| what | answers | per second | median, s | 95 %, s | longest, s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    times: dict[str, list[float]] = {}
    for visitor in visitors:
        for what, own in visitor.times.items():
            times.setdefault(what, []).extend(own)
    times["all"] = [second for own in times.values() for second in own]
    for what, own in times.items():
        middle, high = np.quantile(own, [0.5, 0.95])
        print(f"| {what} | {len(own):,} | {len(own) / seconds:.1f} | {middle:.3f} | {high:.3f} | {max(own):.2f} |")
    print(f"\n{garments:,} garments, {clients} clients, {seconds:.0f} seconds: {sum(errors.values())} errors; "
          f"at most {peak.megabytes:,.0f} MB (target: below {TARGET})")  # fmt: skip
    for what, number in errors.items():
        print(f"error: {what}, {number} times")
    return 1 if errors else 0


if __name__ == "__main__":
    start_process()
    show_log()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--photos", type=int, default=10_000, help="in the wardrobe")
    given = parser.parse_args()
    sys.exit(measure(given.clients, given.seconds, given.photos))
