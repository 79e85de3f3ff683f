"""Tables that `make docs` writes into README.md and docs/ from the demo's metrics."""

import json

import pytest

from stages.core.errors import StageError
from stages.report import doc_tables
from stages.report.doc_tables import detector_table, head_table, photo_table, search_table, seed_table, with_table


@pytest.fixture
def folder(tmp_path):
    """A small metrics/demo."""

    def write(name, content):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    write("detector/shoes", {"map50": 0.88749, "map50_95": 0.5, "constant_box": 0.1117, "f1": 0.8})
    write("classifier/accuracy", {"color": 0.75, "type_group": 0.98})
    write("classifier/majority", {"color": 0.25, "type_group": 0.5})
    write("classifier/given_class", {"type_group": 1.0})
    write("retrieval/one", {"inshop": {"hit@1": 0.4}, "wardrobe": {"hit@1": 0.7}})
    write("retrieval/two", {"inshop": {"hit@1": 0.3}})
    write("retrieval/chance", {"inshop": {"hit@1": 0.03125}, "wardrobe": {"hit@1": 0.01}})
    write("retrieval/labels/one", {"category": {"hit@1": 0.2}})
    row = {"mean": 0.5, "deviation": 0.0123, "min": 0.4, "max": 0.6, "baseline": 0.1, "baseline_name": "chance"}
    rows = {
        "detector/shoes mAP50": row | {"baseline": None},
        "retrieval/one/wardrobe hit@1": row,
        "retrieval/one/wardrobe hit@5": row,
        "retrieval/one/deepfashion2 hit@1": row,
        "encoder/simclr k-NN type": row,
    }
    write("seeds", {"seeds": [0, 1, 2], "rows": rows})
    return tmp_path


def test_detectors_stand_next_to_a_constant_box(folder):
    assert detector_table(folder) == [
        "| detector | mAP50 | mAP50-95 | mAP50 of a constant box |", "| --- | ---: | ---: | ---: |",
        "| shoes | 0.887 | 0.500 | 0.112 |",
    ]  # fmt: skip


def test_heads_stand_next_to_two_baselines_and_a_missing_one_is_a_dash(folder):
    assert head_table(folder)[2:] == ["| color | 0.750 | 0.250 | - |", "| type_group | 0.980 | 0.500 | 1.000 |"]


def test_encoders_stand_above_chance_with_garments_before_labels(folder):
    assert search_table(folder, ["two", "one", "not_trained"]) == [
        "| encoder | inshop | wardrobe | category |", "| --- | ---: | ---: | ---: |",
        "| two | 0.300 | - | - |", "| one | 0.400 | 0.700 | 0.200 |", "| chance | 0.031 | 0.010 | - |",
    ]  # fmt: skip


def test_of_the_seeds_only_the_scores_of_the_page_are_shown(folder):
    assert seed_table(folder)[2:] == [
        "| detector/shoes | mAP50 | 0.500 ± 0.012 | 0.400 | 0.600 |  |",
        "| retrieval/one/wardrobe | hit@1 | 0.500 ± 0.012 | 0.400 | 0.600 | 0.100 chance |",
    ]


def test_photos_stand_with_boxes_first_then_types_then_searches_each_next_to_its_baseline(tmp_path):
    row = {"mean": 0.5, "deviation": 0.0123, "min": 0.4, "max": 0.6}
    boxes = {"map50": row, "map50_95": row | {"mean": 0.3}}
    claims = {"classifier/type accuracy": 0.1, "classifier/type_group accuracy": 0.2} | {
        f"retrieval/{encoder}/photos {label}": 0.05
        for encoder in ("untrained", "imagenet", "classifier")
        for label in ("mAP", "hit@5", "hit@1")
    }
    content = {
        "metrics": {"salient/photos": boxes, "detector/photos": boxes | {"constant_box": row | {"mean": 0.15}}},
        "rows": {name: row | {"baseline": value, "baseline_name": "any"} for name, value in claims.items()},
    }
    (tmp_path / "seeds.json").write_text(json.dumps(content))
    _, _, *lines = photo_table(tmp_path)
    assert lines[:3] == [
        "| salient box, classifier's group | mAP50 | 0.500 ± 0.012 | 0.400 | 0.600 | 0.150 constant box |",
        "| salient box, classifier's group | mAP50-95 | 0.300 ± 0.012 | 0.400 | 0.600 |  |",
        "| trained detector | mAP50 | 0.500 ± 0.012 | 0.400 | 0.600 | 0.150 constant box |",
    ]
    assert lines[4:7] == [
        "| classifier | accuracy of the type | 0.500 ± 0.012 | 0.400 | 0.600 | 0.100 majority |",
        "| classifier | accuracy of the group | 0.500 ± 0.012 | 0.400 | 0.600 | 0.200 majority |",
        "| search by the classifier | hit@1 | 0.500 ± 0.012 | 0.400 | 0.600 | 0.050 chance |",
    ]
    assert len(lines) == 15
    assert lines[-1].startswith("| search by random weights | mAP |")


def test_a_table_replaces_what_is_between_its_marks_and_nothing_else():
    page = "a\n<!-- begin t: note -->\nold\nolder\n<!-- end t -->\nb\n<!-- begin u -->\n<!-- end u -->\n"
    assert with_table(page, "t", ["| x |", "| y |"]) == (
        "a\n<!-- begin t: note -->\n| x |\n| y |\n<!-- end t -->\nb\n<!-- begin u -->\n<!-- end u -->\n"
    )
    assert with_table(with_table(page, "u", ["new"]), "u", ["new"]) == with_table(page, "u", ["new"])


@pytest.mark.parametrize("page", ["nothing\n", "<!-- begin t -->\nno end\n", "<!-- begin t -->\n<!-- end t -->\n" * 2])
def test_a_page_without_exactly_one_place_is_one_message(page, tmp_path, monkeypatch):
    monkeypatch.setattr(doc_tables, "PAGES", {"page.md": {"t": lambda folder: ["x"]}})
    (tmp_path / "page.md").write_text(page)
    with pytest.raises(StageError, match=r"page\.md: [02] places for the table 't', expected one"):
        doc_tables.filled(tmp_path, "page.md", tmp_path)
