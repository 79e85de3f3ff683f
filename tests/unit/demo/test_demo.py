"""The demo sources: the same bytes every time, and upstream's trees and formats of those that the pipeline learns from."""

import json
import re
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from pydantic import ValidationError

from stages.core.errors import StageError
from stages.demo.demo import SOURCES, draw_sources, main
from stages.demo.drawing.palette import NAMED_COLORS
from stages.demo.sources.fashion_products import FashionProductsDemo

LANDMARKS = {1: 25, 2: 33, 3: 31, 4: 39, 5: 15, 6: 15, 7: 10, 8: 14, 9: 8, 10: 29, 11: 37, 12: 19, 13: 19}
NAMES = {
    1: "short sleeve top", 2: "long sleeve top", 3: "short sleeve outwear", 4: "long sleeve outwear", 5: "vest",
    6: "sling", 7: "shorts", 8: "trousers", 9: "skirt", 10: "short sleeve dress", 11: "long sleeve dress",
    12: "vest dress", 13: "sling dress",
}  # fmt: skip


def files(root: Path, source: str) -> dict[str, bytes]:
    folders = (root / source, root / "truth" / source)
    paths = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


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


def test_deepfashion2_annotations_have_upstreams_keys(drawn: Path) -> None:
    root = drawn / "deepfashion2"
    sources: dict[int, set[str]] = {}
    for path in sorted((root / "train" / "annos").iterdir()):
        annotation = json.loads(path.read_text())
        assert Image.open(root / "train" / "image" / f"{path.stem}.jpg").size == (96, 128)
        sources.setdefault(annotation["pair_id"], set()).add(annotation["source"])
        items = [value for key, value in annotation.items() if key.startswith("item")]
        assert items
        for item in items:
            assert set(item) == {
                "segmentation", "scale", "viewpoint", "zoom_in", "landmarks", "style", "bounding_box", "category_id",
                "occlusion", "category_name",
            }  # fmt: skip
            assert len(item["landmarks"]) == 3 * LANDMARKS[item["category_id"]]
            assert item["category_name"] == NAMES[item["category_id"]]
            assert all(isinstance(value, int) for value in item["bounding_box"])
            assert all(len(polygon) % 2 == 0 and len(polygon) >= 6 for polygon in item["segmentation"])
            assert item["style"] > 0
    assert all(found == {"shop", "user"} for found in sources.values())


def test_deepfashion2_draws_all_thirteen_classes_with_their_number_of_landmarks(redraw, tmp_path: Path) -> None:
    redraw("deepfashion2", tmp_path, train=400, validation=0, test=0, width=32, height=40)
    seen = {}
    for path in (tmp_path / "deepfashion2" / "train" / "annos").iterdir():
        items = (value for key, value in json.loads(path.read_text()).items() if key.startswith("item"))
        seen |= {item["category_id"]: len(item["landmarks"]) // 3 for item in items}
    assert seen == LANDMARKS


def test_shoes_have_one_json_of_boxes_per_class(drawn: Path) -> None:
    root = drawn / "shoes"
    classes = ["boots", "flip_flops", "loafers", "sandals", "sneakers", "soccer_shoes"]
    assert sorted(path.name for path in root.glob("*.json")) == [f"annotations_{name}.json" for name in classes]
    for name in classes:
        assert len(list((root / "validation" / name).iterdir())) == 1


def test_fashion_products_csv_has_upstreams_header(drawn: Path) -> None:
    lines = (drawn / "fashion_products" / "styles.csv").read_text().splitlines()
    assert (
        lines[0] == "id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage,productDisplayName"
    )
    rows = [line.split(",") for line in lines[1:]]
    assert len(rows) == 31 and len({row[0] for row in rows}) == 31  # 29 products, 2 of them twice
    assert all(row[5] in NAMED_COLORS or row[5] == "NA" for row in rows)
    assert sum(row[3] in ("Bags", "Watches") for row in rows) == 4


def test_fashion_products_refuses_a_type_it_cannot_draw(counts) -> None:
    plain = counts("fashion_products").model_dump() | {"types": {"Tshirt": 3}}
    with pytest.raises(ValidationError, match="cannot draw Tshirt; known: Blazers"):
        FashionProductsDemo.model_validate(plain)


def test_fashion_products_refuses_commas_in_a_column_that_is_not_there(counts) -> None:
    plain = counts("fashion_products").model_dump() | {"product_names": False}
    with pytest.raises(ValidationError, match="comma_names"):
        FashionProductsDemo.model_validate(plain)


def test_fashion_products_can_lack_the_last_column_and_have_unix_line_ends(redraw, tmp_path: Path) -> None:
    redraw("fashion_products", tmp_path, product_names=False, comma_names=0, crlf=False)
    content = (tmp_path / "fashion_products" / "styles.csv").read_bytes()
    assert b"\r" not in content
    assert {line.count(b",") for line in content.splitlines()} == {8}
    assert content.startswith(b"id,gender,masterCategory,subCategory,articleType,baseColour,season,year,usage\n")


def test_deepfashion_mm_names_and_label_files(drawn: Path) -> None:
    root = drawn / "deepfashion_mm"
    images = sorted(path.name for path in (root / "images").iterdir())
    pattern = re.compile(
        r"(MEN|WOMEN)-([A-Za-z_]+)-(id_\d{8})-(\d{2})_(\d)_(front|side|back|full|additional|flat)\.jpg"
    )
    parsed = {name: match for name in images if (match := pattern.fullmatch(name))}
    for file, values in (
        ("shape/shape_anno_all.txt", 12),
        ("texture/fabric_ann.txt", 3),
        ("texture/pattern_ann.txt", 3),
    ):
        lines = [line.split(" ") for line in (root / "labels" / file).read_text().splitlines()]
        assert all(len(line) == 1 + values for line in lines)
    photos: dict[str, set[bytes]] = {}
    for name, match in parsed.items():
        photos.setdefault(f"{match[3]}-{match[4]}_{match[5]}", set()).add((root / "images" / name).read_bytes())
    assert all(len(contents) == 1 for contents in photos.values())  # one photo under several names
    flat = {(m[3], m[4], m[2]) for m in parsed.values() if m[6] == "flat"}
    worn = {(m[3], m[4], m[2]) for m in parsed.values() if m[6] == "front"}
    assert worn <= flat


def test_deepfashion_mm_gives_a_type_to_one_outfit_of_a_person_only(drawn: Path) -> None:
    """Same person and type is the same item for retrieval, so two outfits must not share a type."""
    outfits: dict[tuple[str, str], set[str]] = {}
    for path in (drawn / "deepfashion_mm" / "images").iterdir():
        _, name, rest = path.stem.split("-", 2)
        person, turn = rest.split("-")
        outfits.setdefault((person, name), set()).add(turn.split("_")[0])
    assert all(len(found) == 1 for found in outfits.values())
