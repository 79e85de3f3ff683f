"""The tables that people judge the data by, with counts worked out by hand."""

import csv
import json
from argparse import Namespace
from types import SimpleNamespace

import pytest

from stages.contracts.ledger import REASONS
from stages.contracts.tables import HEADS, LABELS, OUTCOMES, write_rows
from stages.core.files import write_json
from stages.report import statistics
from stages.report.statistics import OUTCOME_NAMES, majority, outcome_table, outcomes_by_superclass, value_table


def item(superclass, kind, outcome, source="shop"):
    return {"source": source, "superclass": superclass, "type": kind, "outcome": outcome}


ITEMS = [
    item("top", "Shirts", "matched"),
    item("top", "Shirts", "mismatch"),
    item("top", "Shirts", "matched"),
    item("top", None, "several"),
    item("bottom", "Jeans", "whole_image"),
    item("bottom", "Jeans", "no_detection", "street"),
]


def test_outcomes_are_counted_by_source_superclass_and_type():
    assert outcome_table(ITEMS) == [
        ["shop", "bottom", "Jeans", 1, 0, 1, 0, 0, 0, 0, 0, 1.0],
        ["shop", "top", "(unknown)", 1, 0, 0, 0, 0, 0, 1, 0, 0.0],
        ["shop", "top", "Shirts", 3, 2, 0, 1, 0, 0, 0, 0, 2 / 3],
        ["street", "bottom", "Jeans", 1, 0, 0, 0, 1, 0, 0, 0, 0.0],
    ]


def test_outcomes_by_superclass_add_up_to_all():
    shop = outcomes_by_superclass(ITEMS)["shop"]
    assert shop["top"] == {"items": 4, "matched": 2, "mismatch": 1, "several": 1, "share_cut": 0.5}
    assert shop["all"]["items"] == 5
    assert shop["all"]["share_cut"] == pytest.approx(3 / 5)


def test_every_outcome_that_is_a_reject_is_a_reason_on_record():
    assert set(OUTCOME_NAMES) - {"matched", "whole_image"} <= set(REASONS)


def test_values_are_ordered_by_rows_and_then_by_name():
    header, rows = value_table({"a": {"Red": 1, "Blue": 2}, "b": {"Red": 2, "Pink": 2}})
    assert header == ["value", "rows", "a", "b"]
    assert rows == [["Red", 3, 1, 2], ["Blue", 2, 2, 0], ["Pink", 2, 0, 2]]


def test_majority_is_over_all_splits():
    assert majority({"train": {"Men": 1, "Women": 2}, "test": {"Men": 3}}) == {
        "classes": 2,
        "commonest": "Men",
        "share": pytest.approx(4 / 6),
    }
    assert majority({"train": {}, "test": {}}) == {"classes": 0}


def test_stage_writes_a_table_for_each_head_before_after_and_in_the_data_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("label_sources: [shop]\n")
    empty = {**dict.fromkeys(LABELS.names), "source": "shop", "image_id": "p", "superclass": "top", "agrees": ["top"]}
    write_rows(tmp_path / "labels/shop/labels.parquet", LABELS, [empty | {"item_id": "i1", "type": "Shirts"}])
    write_rows(tmp_path / "crops/shop/outcomes.parquet", OUTCOMES,
               [{**dict.fromkeys(OUTCOMES.names), "item_id": "i1", "outcome": "matched"}])  # fmt: skip
    values = {head: {"before": {}, "after": {}} for head in HEADS}
    values["type"] = {"before": {"Shirts": 1, "Bags": 2}, "after": {"Shirts": 1}}
    write_json(tmp_path / "labels/shop/values.json", values)
    splits = {head: {"train": {}, "val": {}, "test": {}} for head in HEADS} | {
        "type": {"train": {"Shirts": 1}, "val": {}, "test": {}}
    }
    write_json(tmp_path / "dataset/statistics.json", {"labelled": {}, "coverage": {}, "values": splits})
    args = Namespace(labels=tmp_path / "labels", crops=tmp_path / "crops", dataset=tmp_path / "dataset",
                     out=tmp_path / "metrics/statistics")  # fmt: skip
    statistics.main(args, SimpleNamespace())
    assert len(list(args.out.glob("*.csv"))) == 1 + 3 * len(HEADS)
    with (args.out / "before_type.csv").open() as stream:
        assert list(csv.reader(stream)) == [["value", "rows", "shop"], ["Bags", "2", "2"], ["Shirts", "1", "1"]]
    content = json.loads((tmp_path / "metrics/statistics.json").read_text())
    assert content["matching"]["shop"]["top"] == {"items": 1, "matched": 1, "share_cut": 1.0}
    assert content["values"]["type"] == {"classes": 1, "commonest": "Shirts", "share": 1.0}
