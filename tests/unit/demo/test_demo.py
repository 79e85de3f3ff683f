"""All sources of the demo: the same bytes every time, other truth with another seed, near duplicates."""

import io
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from stages.core.errors import StageError
from stages.demo.demo import SOURCES, draw_sources, main


def files(root: Path, source: str) -> dict[str, bytes]:
    folders = (root / source, root / "truth" / source)
    paths = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_same_params_give_the_same_bytes_in_any_number_of_processes(
    counts, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEAMLINE_WORKERS", "2")
    sections = {source: counts(source) for source in reversed(SOURCES)}  # nor does their order matter
    draw_sources(sections, tmp_path, tmp_path / "truth")
    for source in SOURCES:
        assert files(tmp_path, source) == files(drawn, source)
        assert len(files(drawn, source)) > 20


def test_a_source_that_the_demo_cannot_draw_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="gloves; the demo can draw: category_coarse"):
        main(Namespace(raw=tmp_path / "raw", truth=tmp_path / "truth"), SimpleNamespace(sources=["gloves"]))


def test_another_seed_gives_other_truth(source: str, drawn: Path, redraw, tmp_path: Path) -> None:
    redraw(source, tmp_path, seed=77)
    name = f"truth/{source}/garments.parquet"
    assert files(tmp_path, source)[name] != files(drawn, source)[name]


@pytest.mark.parametrize(("name", "count"), [("headwear", 2), ("fashion_products", 2)])
def test_near_duplicates_show_the_same_garment_a_little_brighter(name: str, count: int, drawn: Path, truth) -> None:
    shown: dict[str, list[str]] = {}
    for row in truth(name):
        if row["item"]:
            shown.setdefault(row["instance"], []).append(row["image_id"])
    near = 0
    for first, *others in shown.values():
        for other in others:
            one, two = (next((drawn / name / "images").glob(f"{stem}.*")).read_bytes() for stem in (first, other))
            if one != two:
                near += 1
                levels = [
                    sum(Image.open(io.BytesIO(data)).convert("L").resize((1, 1)).getdata()) for data in (one, two)
                ]
                assert 0 <= abs(levels[0] - levels[1]) <= 3
    assert near == count
