"""Reads photos into a wardrobe: hashes each file, and runs the models on bytes that are not known yet."""

import hashlib
from pathlib import Path
from time import sleep

import numpy as np

from stages.app.garments import Garment
from stages.app.models import Models
from stages.app.store import File, PhotoGarments
from stages.core.errors import StageError


class PhotoReader:
    """Reads photo files, and runs the detectors on new ones.

    Attributes:
        known: hashes of the photos on which the detectors have run.
        waiting: photos that were read since the last save: hash, size, garments, and the reason if it is unreadable.
    """

    def __init__(self, models: Models, known: set[str]) -> None:
        self.models, self.known = models, known
        self.waiting: list[tuple[str, tuple[int, int], list[Garment], str | None]] = []

    def knows(self, file: File | None, stamp: tuple[int, int, int]) -> bool:
        """Whether a file is known and has not changed since the last scan, so that it need not be read."""
        return file is not None and file.stamp == stamp and file.sha256 in self.known

    def read(self, path: str, stamp: tuple[int, int, int]) -> File:
        """Hash a file, and detect the garments of the photo unless its bytes are known."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            return File(path, stamp, None, error.strerror or str(error))
        sha = hashlib.sha256(data).hexdigest()
        if sha not in self.known:
            self.models.load()
            self.known.add(sha)
            try:
                self.waiting.append((sha, *self.models.garments(data, Path(path)), None))
            except StageError as error:
                self.waiting.append((sha, (0, 0), [], str(error).removeprefix(f"{path}: ").removesuffix(".")))
            sleep(0.001)  # a search that waits for the networks comes first
        return File(path, stamp, sha)

    def results(self) -> list[PhotoGarments]:
        """The garments of the waiting photos, with their vectors and probabilities."""
        garments = [garment for _, _, own, _ in self.waiting for garment in own]
        rows = np.concatenate(self.models.describe(garments), axis=1) if garments else None
        result, start = [], 0
        for sha, size, own, reason in self.waiting:
            own_rows = rows[start : start + len(own)] if rows is not None and own else None
            start += len(own)
            result.append(
                PhotoGarments(
                    sha,
                    size,
                    [(garment.superclass, garment.confidence, garment.box) for garment in own],
                    own_rows,
                    reason,
                )
            )
        return result
