"""Photos uploaded to the page: in memory, never on disk; the least recently used ones are dropped first."""

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass

from stages.app.items import QueryGarment

MOST_GARMENTS = 24  # of one photo, with those that a person adds


@dataclass
class Upload:
    """A photo to search with.

    Attributes:
        name: its file name as the sender gives it; any text.
        data: the bytes of the file, from which crops are cut.
        shown: a JPEG that a browser can show.
        sha256: of the file: the same file in the wardrobe is no match of it.
        size: width and height in pixels of the upright photo; boxes are in these pixels.
        garments: as detected, or as corrected by a person.
        in_wardrobe: whether it was added to the wardrobe.
        photo_id: random, so that no visitor can guess that of another.
    """

    name: str
    data: bytes
    shown: bytes
    sha256: str
    size: tuple[int, int]
    garments: list[QueryGarment]
    in_wardrobe: bool = False
    photo_id: str = ""

    @property
    def bytes_held(self) -> int:
        """Bytes of pictures that it keeps in memory."""
        return len(self.data) + len(self.shown) + sum(len(garment.crop) for garment in self.garments)

    def correct(self, number: int | None, garment: QueryGarment) -> int:
        """Replace the garment ``number``, or append one if there is no such garment; returns its number.

        A photo that has ``MOST_GARMENTS`` already loses its last one instead.
        """
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
    """The uploads that were used last, up to a count and a number of bytes; safe to use from several threads."""

    def __init__(self, most: int, most_bytes: int) -> None:
        """At most ``most`` photos, of ``most_bytes`` together; the newest stays whatever its size."""
        self.most, self.most_bytes = most, most_bytes
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, upload: Upload) -> Upload:
        """Keep a photo under a new id; forget the ones that were used longest ago."""
        upload.photo_id = secrets.token_urlsafe(12)
        with self._lock:
            self._uploads[upload.photo_id] = upload
            while len(self._uploads) > 1 and (
                len(self._uploads) > self.most
                or sum(upload.bytes_held for upload in self._uploads.values()) > self.most_bytes
            ):
                self._uploads.popitem(last=False)
        return upload

    def get(self, photo_id: str) -> Upload | None:
        """A photo, which counts as used now; None if it was dropped or never existed."""
        with self._lock:
            if upload := self._uploads.get(photo_id):
                self._uploads.move_to_end(photo_id)
            return upload
