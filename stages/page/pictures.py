"""Thumbnails of the report: each picture once, whatever number of places show it."""

import base64
import io
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from stages.contracts.images import open_rgb

SIDE, PHOTO = 72, 224  # pixels of the longer side: of a thumbnail, and of a photo that boxes are drawn on
QUALITY, PHOTO_QUALITY = 68, 62


class Pictures:
    """The pictures of the report: first asked for by key, then read from the tables all at once.

    A key names a crop or image as its tables do; the picture of a box or a whole image of an upstream benchmark has the
    source before it. Keys whose pictures are the same bytes share one.
    """

    def __init__(self) -> None:
        self._wanted: dict[tuple[Path, str], dict[str, set[tuple[str, int, int]]]] = defaultdict(
            lambda: defaultdict(set)
        )

    def ask(self, key: str, path: Path, column: str, value: str, photo: bool = False) -> str:
        """Ask for the picture of the row of a Parquet file, or of a folder of shards, whose ``column`` is ``value``."""
        side, quality = (PHOTO, PHOTO_QUALITY) if photo else (SIDE, QUALITY)
        self._wanted[path, column][value].add((key, side, quality))
        return key

    def encode(self) -> tuple[list[str], dict[str, int]]:
        """Base64 of each picture, and key -> its number there; a row without a picture has none."""
        result: dict[str, str] = {}
        for (path, column), rows in sorted(self._wanted.items()):
            for file in [path] if path.is_file() else sorted(path.glob("shard-*.parquet")):
                for value, data in _pictures_of(file, column, rows):
                    if data is not None:
                        result |= {key: thumbnail(data, side, quality) for key, side, quality in rows[value]}
        numbers: dict[str, int] = {}
        keys = {key: numbers.setdefault(result[key], len(numbers)) for key in sorted(result)}
        return list(numbers), keys


def _pictures_of(file: Path, column: str, wanted: Collection[str]) -> Iterator[tuple[str, bytes | None]]:
    """(value, encoded picture) of the wanted rows of a file, a row group in memory at a time."""
    opened = pq.ParquetFile(file)
    for group in range(opened.num_row_groups):
        values = opened.read_row_group(group, columns=[column])[column].to_pylist()
        places = [at for at, value in enumerate(values) if value in wanted]
        if places:
            table = opened.read_row_group(group, columns=["bytes"]).take(places)
            yield from zip([values[at] for at in places], table["bytes"].to_pylist(), strict=True)


def thumbnail(data: bytes, side: int, quality: int) -> str:
    """An encoded image, made at most ``side`` pixels long, as base64 of a JPEG."""
    image: Any = open_rgb(data)
    scale = min(1.0, side / max(image.size))
    size = tuple(max(1, round(length * scale)) for length in image.size)
    image.draft(None, tuple(round(length * 1.5) for length in size))
    image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, optimize=False)
    return base64.b64encode(stream.getvalue()).decode()
