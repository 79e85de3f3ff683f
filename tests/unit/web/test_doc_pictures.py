"""The pictures for the docs; that they are taken is tested in tests/pipeline/test_app_page.py."""

import io

import pytest
from PIL import Image

from stages.core.errors import StageError
from stages.web import doc_pictures


def test_clothes_are_the_first_photos_of_single_garments(tmp_path):
    for name in ("b_flat.jpg", "a_flat.jpg", "a_front.jpg", "c_flat.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in doc_pictures.clothes(tmp_path, 2)] == ["a_flat.jpg", "b_flat.jpg"]
    with pytest.raises(StageError, match="make repro"):
        doc_pictures.clothes(tmp_path / "nowhere", 2)


def test_without_a_browser_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(StageError, match="apt-get install chromium"):
        doc_pictures.browser()


def test_page_that_does_not_start_is_one_message(tmp_path):
    """Another program of the same name, as what the real one says is tested with it and its imports take seconds."""
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages" / "__init__.py").touch()
    (tmp_path / "stages" / "run.py").write_text("raise SystemExit(1)")
    with pytest.raises(StageError, match="did not start"), doc_pictures.served(tmp_path / "store", tmp_path):
        pass


def test_palette_makes_a_picture_smaller_and_keeps_what_is_seen():
    shades = Image.linear_gradient("L").resize((300, 200)).convert("RGB")
    stream = io.BytesIO()
    shades.save(stream, "PNG")
    small = doc_pictures.small(stream.getvalue())
    image = Image.open(io.BytesIO(small))
    assert image.mode == "P" and image.size == (300, 200)
    worst = max(abs(one[0] - two[0]) for one, two in zip(image.convert("RGB").getdata(), shades.getdata(), strict=True))
    assert worst <= 4


def test_without_a_report_the_message_says_what_to_run(tmp_path):
    with pytest.raises(StageError, match="make repro"):
        doc_pictures.report_pictures(None, tmp_path / "index.html")
