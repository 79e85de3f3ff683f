"""A trace in words."""

from stages.page.text import WIDTH, as_text, values

FACTS = {
    "item_id": "1", "source": "shop", "image_id": "i/1", "image": None, "upstream": {"gender": "Men", "usage": None},
    "labels": {"type": "Shirts", "color": None, "agrees": ["top", "vest"]},
    "matching": {
        "outcome": "matched", "candidates": 2, "agreeing": 1, "mates": [],
        "taken": {"detector": "d", "detected_class": "top", "confidence": 0.9, "x1": 1.0, "y1": 2.0, "x2": 3.0, "y2": 4.0},
        "rivals": [{"detector": "d", "superclass": "dress", "confidence": 0.4, "x1": 0.0, "y1": 0.0, "x2": 9.0, "y2": 9.0,
                    "agrees": False}],
    },
    "split": "val", "keys": {}, "near": [], "repairs": [], "file": None,
    "decision": {"unit": "u", "members": 3, "rule": "hash of the unit's name", "position": 0.75, "shares": [0.7, 0.15, 0.15]},
    "rejects": [{"stage": "crops", "table": "crops", "reason": "taken", "key": "1", "detail": "why " * 60}],
}  # fmt: skip


def test_lines_tell_labels_boxes_and_the_split_within_the_width():
    text = as_text(
        {"kind": "crop", "id": "shop:1", "facts": FACTS, "made": [{"path": "p", "stage": "s", "md5": "a" * 40}]}
    )
    for line in ("labels       type Shirts, agrees top|vest", "  box        top 0.90 [1, 2, 3, 4] by d",
                 "  rival      dress 0.40 [0, 0, 9, 9] by d, disagrees", "made by      s  aaaaaaaaaaaa  p",
                 "file         not found below the raw tree", "upstream     gender Men"):  # fmt: skip
        assert line in text.splitlines()
    assert "at 0.750 (train below 0.70, val below 0.85)" in text
    assert max(map(len, text.splitlines())) <= WIDTH


def test_what_is_not_known_is_left_out():
    assert values({"a": None, "b": 0.5, "c": ["x", "y"]}) == "b 0.500, c x|y"
    assert values({"a": None}) == "nothing known"
