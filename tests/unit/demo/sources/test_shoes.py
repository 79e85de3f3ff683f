"""The drawn shoes: a JSON of boxes for each class, with its defects."""

import json
from collections import Counter
from pathlib import Path

from PIL import Image

CORNERS = ("x1", "y1", "x2", "y2")


def test_shoe_boxes_have_their_defects(drawn: Path, truth) -> None:
    true = {row["item"]: [row[corner] for corner in CORNERS] for row in truth("shoes")}
    found: Counter = Counter()
    for path in (drawn / "shoes").glob("annotations_*.json"):
        shoe, boxes = path.stem.removeprefix("annotations_"), json.loads(path.read_text())
        images = {
            file.name: file
            for split in ("training", "validation")
            for file in (drawn / "shoes" / split / shoe).iterdir()
        }
        found["image without entry"] += len(set(images) - set(boxes))
        found["entry without image"] += len(set(boxes) - set(images))
        for name in set(images) & set(boxes):
            box, file = boxes[name][0], images[name]
            right = true[f"{shoe}-{file.parent.parent.name}-{file.stem}:1"]
            if Image.open(file).size == (192, 192):
                found["display scaled"] += 1
                assert all(abs(2 * shown - value) <= 1 for shown, value in zip(box, right, strict=True))
            elif box[2] < box[0]:
                found["reversed"] += 1
                assert [box[2], box[3], box[0], box[1]] == right
            elif box[0] < 0:
                found["negative"] += 1
                assert [0, *box[1:]] == right  # only where the image cuts the shoes off: clipping repairs it
            else:
                assert box == right
    assert found == {
        "reversed": 3, "negative": 2, "display scaled": 2, "image without entry": 1, "entry without image": 1,
    }  # fmt: skip


def test_shoes_have_one_json_of_boxes_per_class(drawn: Path) -> None:
    root = drawn / "shoes"
    classes = ["boots", "flip_flops", "loafers", "sandals", "sneakers", "soccer_shoes"]
    assert sorted(path.name for path in root.glob("*.json")) == [f"annotations_{name}.json" for name in classes]
    for name in classes:
        assert len(list((root / "validation" / name).iterdir())) == 1
