"""The drawn DeepFashion2: upstream's keys, classes and landmarks, and its defects."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

CORNERS = ("x1", "y1", "x2", "y2")


def annotations(drawn: Path, split: str) -> dict[str, dict[str, Any]]:
    paths = sorted((drawn / "deepfashion2" / split / "annos").iterdir())
    return {path.stem: json.loads(path.read_text()) for path in paths}


def items(annotation: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for key, value in annotation.items() if key.startswith("item")]


def test_deepfashion2_names_repeat_across_splits_and_test_has_no_annotations(drawn: Path) -> None:
    root = drawn / "deepfashion2"
    names = {
        split: sorted(path.stem for path in (root / split / "image").iterdir()) for split in ("train", "validation")
    }
    assert names["validation"] == names["train"][:6]
    assert len(list((root / "test" / "image").iterdir())) == 3
    assert not (root / "test" / "annos").exists()


def test_deepfashion2_boxes_cross_the_border_only_where_the_garment_is_cut_off(drawn: Path, truth) -> None:
    true = {row["item"]: [row[corner] for corner in CORNERS] for row in truth("deepfashion2")}
    crossing = 0
    for split in ("train", "validation"):
        for stem, annotation in annotations(drawn, split).items():
            for key, item in annotation.items():
                if key.startswith("item"):
                    box = item["bounding_box"]
                    inside = [max(0, box[0]), max(0, box[1]), min(96, box[2]), min(128, box[3])]
                    crossing += inside != box
                    assert inside == true[f"{split}-{stem}:{key}"]  # all others are the true ones
    assert crossing == 2


def test_deepfashion2_items_without_landmarks(drawn: Path) -> None:
    found = annotations(drawn, "train").values()
    assert sum(not any(item["landmarks"]) for annotation in found for item in items(annotation)) == 2
    some = [item for annotation in found for item in items(annotation) if any(item["landmarks"])]
    assert any(item["landmarks"][i : i + 3] == [0, 0, 0] for item in some for i in range(0, len(item["landmarks"]), 3))


def test_deepfashion2_keys_in_mixed_order(drawn: Path) -> None:
    found = [list(annotation) for annotation in annotations(drawn, "train").values()]
    plain = [["source", "pair_id", *[f"item{n + 1}" for n in range(len(keys) - 2)]] for keys in found]
    assert sum(keys != order for keys, order in zip(found, plain, strict=True)) == 5
    assert [set(keys) for keys in found] == [set(order) for order in plain]


LANDMARKS = {1: 25, 2: 33, 3: 31, 4: 39, 5: 15, 6: 15, 7: 10, 8: 14, 9: 8, 10: 29, 11: 37, 12: 19, 13: 19}
NAMES = {
    1: "short sleeve top", 2: "long sleeve top", 3: "short sleeve outwear", 4: "long sleeve outwear", 5: "vest",
    6: "sling", 7: "shorts", 8: "trousers", 9: "skirt", 10: "short sleeve dress", 11: "long sleeve dress",
    12: "vest dress", 13: "sling dress",
}  # fmt: skip


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
