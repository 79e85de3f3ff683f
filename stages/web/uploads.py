"""Photos that were dropped on the page: in memory, the oldest out first, never on disk."""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from stages.app.items import Asked

MOST_GARMENTS = 24  # of one photo, those that a person adds included


@dataclass
class Upload:
    """A photo to search with.

    Attributes:
        name: what its sender calls it; any text.
        data: the file as it came, from which crops are cut.
        shown: a JPEG that a browser shows.
        sha256: of the file: the same file in the wardrobe is no match of it.
        size: width and height in pixels of the upright photo, which boxes are in.
        garments: what was detected, or what a person made of it.
        kept: whether it was added to the wardrobe.
        photo_id: random, so that nobody guesses another's.
    """

    name: str
    data: bytes
    shown: bytes
    sha256: str
    size: tuple[int, int]
    garments: list[Asked]
    kept: bool = False
    photo_id: str = ""

    @property
    def held(self) -> int:
        """Bytes of pictures that it keeps in memory."""
        return len(self.data) + len(self.shown) + sum(len(garment.crop) for garment in self.garments)

    def correct(self, number: int | None, garment: Asked) -> int:
        """Put a garment in the place of another, or behind them; its number. None, or one too many: the last."""
        garments = list(self.garments)
        if number is not None and number < len(garments):
            garments[number] = garment
        elif len(garments) < MOST_GARMENTS:
            number = len(garments)
            garments.append(garment)
        else:
            number = len(garments) - 1
            garments[number] = garment
        self.garments = garments
        return number


class Uploads:
    """The last photos that came, up to a count and a number of bytes; safe to use from several threads."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """``most`` photos of ``most_bytes`` together; the newest stays whatever its size."""
        self.most, self.most_bytes = most, most_bytes
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, upload: Upload) -> Upload:
        """Keep a photo under a new id; forget the ones that were used longest ago."""
        upload.photo_id = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[upload.photo_id] = upload
            while len(self._kept) > 1 and (
                len(self._kept) > self.most or sum(kept.held for kept in self._kept.values()) > self.most_bytes
            ):
                self._kept.popitem(last=False)
        return upload

    def get(self, photo_id: str) -> Upload | None:
        """A photo, which counts as used now; None where it is forgotten or never was."""
        with self._lock:
            if upload := self._kept.get(photo_id):
                self._kept.move_to_end(photo_id)
            return upload
