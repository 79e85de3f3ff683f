"""A wardrobe of three garments without a model, for tests of the page."""

import hashlib
import re
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from stages.app.folders import Broken, Change
from stages.app.items import Attribute, Item, Match, QueryGarment, QueryPhoto
from stages.app.search import ANY
from stages.contracts.images import decode, encode_jpeg
from stages.core.errors import StageError
from stages.crops.matching import NO_DETECTOR

NAMES = ("blue shirt.jpg", "<img src=x onerror=alert(1)>.jpg", "caf\udce9.jpg")


def attributes(color, sure=True, share=0.91):
    return {
        "color": Attribute(color, share, sure),
        "gender": Attribute("Men", 0.8, True),
        "type": Attribute("Tops", 0.7, True),
    }


def query_garment(superclass="top", box=(10, 20, 60, 90), confidence=0.9, color="Blue", sure=True, share=0.91):
    known = attributes(color, sure, share)
    return QueryGarment(superclass, confidence, box, known, b"crop", np.zeros(3, np.float32), np.zeros(4, np.float32))


class FakeWardrobe:
    """The methods of a wardrobe that the page calls; it records the calls."""

    recall = None  # of the searches: not approximate

    def __init__(self):
        self.models = SimpleNamespace(
            heads={"color": ["Blue", "Red"], "gender": ["Men"], "type": ["Tops"]}, superclasses=["top", "footwear"],
            warm=lambda: None,
        )  # fmt: skip
        paths = [Path("/photos", name) for name in NAMES]
        self.rows = [
            Item(f"{number}a-0", (path,), "top" if number else "footwear", 0.9, (1, 2, 30, 40), 60, 80,
                 attributes("Red" if number else "Blue"))
            for number, path in enumerate(paths)
        ]  # fmt: skip
        self.garments = [query_garment(), query_garment("footwear", (0, 0, 5, 5), 0.4, "Red", False, 0.41)]
        self.searches = []
        self.uploads = []
        self.added = []
        self.go_on = threading.Event()
        self.go_on.set()

    def count(self, filters=ANY):
        return len(self.items(filters))

    def items(self, filters=ANY, start=0, count=None):
        passing = [
            row
            for row in self.rows
            if (not filters.superclasses or row.superclass in filters.superclasses)
            and all(row.attributes[head].name in names for head, names in filters.attributes.items())
        ]
        return passing[start : None if count is None else start + count]

    def item(self, id):
        return next((row for row in self.rows if row.id == id), None)

    def facets(self, filters=ANY):
        return {
            "superclass": {"top": 2, "footwear": 1},
            "color": {"Red": 2, "Blue": 1},
            "gender": {"Men": 3},
            "type": {"Tops": 3},
        }

    def picture(self, item, side=256, whole=False):
        return encode_jpeg(Image.new("RGB", (side, side // 2), "red"))

    def roots(self):
        return [Path("/photos")]

    def read_query(self, photo):
        try:
            image, _ = decode(photo)
        except (OSError, ValueError, SyntaxError) as error:
            raise StageError(f"the photo: {error}.") from None
        return QueryPhoto(hashlib.sha256(photo).hexdigest(), *image.size, list(self.garments))

    def correct(self, photo, box, superclass):
        if superclass not in (*self.models.superclasses, NO_DETECTOR):
            raise StageError(f"no class {superclass!r}")
        return query_garment(superclass, box, None)

    def matches(self, query, top, filters, any_class, without):
        self.searches.append((query, top, filters, any_class, without))
        return [Match(row, 0.5, "", self.recall) for row in self.items(filters)][:top]

    def ideas(self, query, top, filters, any_class, without):
        return [Match(row, 0.25, "color") for row in self.items(filters)][:top]

    def add_upload(self, data, name):
        self.uploads.append((data, name))

    def add(self, paths, progress, stop):
        self.added += paths
        for done in (1, 2, 3):
            progress(done, 3, paths[0] / "a.jpg")
            self.go_on.wait(10)
            if stop.is_set():
                break
        return change(broken=[Broken(Path("/photos/<b>bad</b>.jpg"), "not an image & no <i>picture</i>")])

    def sync(self, progress, stop):
        return change()


def change(broken=()):
    counts = dict.fromkeys(
        ("added", "changed", "moved", "removed", "unchanged", "duplicate", "unreadable", "left_out"), 0
    )
    return Change(
        photos=3, garments=3, counts=counts | {"added": 3, "unreadable": len(broken)}, broken=list(broken), left_out={}
    )


def sent(client, photo, name="my photo.png"):
    """Send a photo: its id, and the answer's text."""
    answer = client.post("/photos", params={"name": name}, content=photo, headers={"origin": str(client.base_url)})
    assert answer.status_code == 200, answer.text
    return re.search(r'data-photo="([^"]+)"', answer.text)[1], answer.text
