"""What the bench measures on: realistic, and the same every time."""

import json

from PIL import Image

from bench.generate import fingerprints, write_annotations, write_photos
from stages.ingest.fingerprint import FINGERPRINT_BYTES


def test_annotations_have_upstreams_form_and_size(tmp_path):
    size = write_annotations(tmp_path / "annos", 20)
    assert 4000 <= size <= 8000
    first = json.loads((tmp_path / "annos/000001.json").read_text())
    assert len(first["item1"]["bounding_box"]) == 4
    assert first["item1"]["category_id"] in range(1, 14)


def test_photos_have_a_realistic_size(tmp_path):
    size = write_photos(tmp_path / "image", 6)
    assert 30_000 <= size <= 60_000
    assert Image.open(tmp_path / "image/000006.jpg").size == (400, 533)


def test_the_same_numbers_give_the_same_data(tmp_path):
    for name in "ab":
        write_annotations(tmp_path / name / "annos", 3)
        write_photos(tmp_path / name / "image", 3)
    files = [path.relative_to(tmp_path / "a") for path in sorted((tmp_path / "a").rglob("*.*"))]
    assert len(files) == 6
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    assert fingerprints(150) == fingerprints(150)
    assert {len(one) for one in fingerprints(150)} == {FINGERPRINT_BYTES}
