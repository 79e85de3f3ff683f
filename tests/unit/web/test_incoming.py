"""Limits of what a visitor sends: bytes, pixels, seconds, words of another form. Each refusal is one line."""

import asyncio
import zlib

import pytest
from fake_wardrobe import sent

from stages.web import incoming


def test_photo_of_too_many_bytes_is_refused_and_not_kept(client, monkeypatch, wardrobe):
    monkeypatch.setattr(incoming, "MAX_UPLOAD", 1000)
    for size in (1001, 3999, 100_000):
        answer = client.post("/photos", content=b"x" * size)
        assert answer.status_code == 413 and "larger than 0.001 MB" in answer.text
    assert client.post("/photos", content=b"x" * 1000).status_code == 422  # as large as may be, and no picture


def test_photo_that_never_ends_is_not_read_to_its_end(client, monkeypatch):
    monkeypatch.setattr(incoming, "MAX_UPLOAD", 1000)
    read = []

    def endless():
        for number in range(1_000):
            read.append(number)
            yield b"x" * 100

    assert client.post("/photos", content=endless()).status_code == 413


def bomb(width, height):
    """A PNG of a few bytes that claims so many pixels."""

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(8001, 8000), (50_000, 50_000), (2**31 - 1, 2**31 - 1)])
def test_picture_that_claims_too_many_pixels_is_refused_before_it_is_decoded(client, wardrobe, size):
    wardrobe.read_query = lambda _: pytest.fail("the models see it")
    answer = client.post("/photos", content=bomb(*size))
    assert answer.status_code == 413 and "pixels" in answer.text and "\n" not in answer.text


@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg onload=alert(1)>", b"%PDF-1.4", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused_in_one_line(client, data):
    answer = client.post("/photos", content=data)
    assert answer.status_code == 422 and answer.text and "\n" not in answer.text and "Traceback" not in answer.text


def test_words_of_too_many_bytes_are_refused(client, photo):
    photo_id, _ = sent(client, photo)
    answer = client.post(f"/photos/{photo_id}/search", content=b" " * 30_000)
    assert answer.status_code == 413


def test_too_slow_a_photo_is_refused(monkeypatch):
    class Slow:
        async def stream(self):
            yield b"x"
            await asyncio.sleep(60)

    monkeypatch.setattr(incoming, "SECONDS", 0.01)
    with pytest.raises(incoming.Refused, match="Send it again") as refused:
        asyncio.run(incoming.read_body(Slow(), 1000, "photo"))
    assert refused.value.status == 408


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"garment": 0, "superclass": "trousers", "box": None}, "no class 'trousers'"),
        ({"garment": 0, "superclass": "top", "box": [1, 2, 3]}, "box"),
        ({"garment": 0, "superclass": "top", "box": [1, 2, 3, 1e400]}, "box.3"),
        ({"garment": -1, "superclass": "top", "box": None}, "garment"),
        ({"garment": 0, "superclass": "top", "box": None, "path": "/etc"}, "path"),
        ({"garment": 0, "superclass": "x" * 1000, "box": None}, "superclass"),
    ],
)
def test_correction_that_is_none_is_one_line(client, photo, words, said):
    photo_id, _ = sent(client, photo)
    body = str(words).replace("'", '"').replace("None", "null").replace("inf", "1e400")
    answer = client.post(f"/photos/{photo_id}/garments", content=body)
    assert answer.status_code == 422 and said in answer.text and "\n" not in answer.text


@pytest.mark.parametrize(
    "words",
    ["", "{", "[]", '{"garment": 7}', '{"garment": 0, "attributes": {"path": "x"}}', '{"garment": 0, "mode": "x"}'],
)
def test_search_that_is_none_is_one_line(client, photo, words):
    photo_id, _ = sent(client, photo)
    answer = client.post(f"/photos/{photo_id}/search", content=words)
    assert answer.status_code == 422 and answer.text and "\n" not in answer.text
