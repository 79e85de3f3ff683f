"""Thumbnails: every picture once, whatever asks for it."""

import base64
import io

import pyarrow as pa
from PIL import Image

from stages.contracts.tables import write_table
from stages.page.pictures import PHOTO, SIDE, Pictures


def jpeg(color, size=(400, 200)):
    stream = io.BytesIO()
    Image.new("RGB", size, color).save(stream, "JPEG")
    return stream.getvalue()


def test_equal_pictures_are_there_once_and_keep_their_proportions(tmp_path):
    table = pa.table(
        {"row_id": ["a", "b", "c", "d"], "bytes": [jpeg("red"), jpeg("red"), jpeg("blue", (20, 10)), None]}
    )
    write_table(tmp_path / "t.parquet", table)
    pictures = Pictures()
    for row in "abcd":
        assert pictures.ask(row, tmp_path / "t.parquet", "row_id", row) == row
    pictures.ask("photo:a", tmp_path / "t.parquet", "row_id", "a", photo=True)
    encoded, numbers = pictures.encode()
    assert len(encoded) == len(set(encoded)) == 3
    assert numbers["a"] == numbers["b"] and set(numbers) == {"a", "b", "c", "photo:a"}  # d has no picture
    sizes = {key: Image.open(io.BytesIO(base64.b64decode(encoded[at]))).size for key, at in numbers.items()}
    assert sizes == {"a": (SIDE, SIDE // 2), "b": (SIDE, SIDE // 2), "c": (20, 10), "photo:a": (PHOTO, PHOTO // 2)}
