"""The tables that people judge the data by, with counts worked out by hand."""

import csv
import json
from argparse import Namespace
from types import SimpleNamespace

import pytest

from stages.contracts.ledger import REASONS
from stages.contracts.tables import HEADS, LABELS, OUTCOMES, write_rows
from stages.core.errors import StageError
from stages.core.files import write_json
from stages.report import statistics
from stages.report.statistics import OUTCOME_NAMES, bars, majority, outcome_table, outcomes_by_superclass


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
    rows = bars("before", {"a": {"Red": 1, "Blue": 2}, "b": {"Red": 2, "Pink": 2}})
    assert rows == [["before", "Red", 3], ["before", "Blue", 2], ["before", "Pink", 2]]


def test_majority_is_over_all_splits():
    assert majority({"train": {"Men": 1, "Women": 2}, "test": {"Men": 3}}) == {
        "classes": 2,
        "commonest": "Men",
        "share": pytest.approx(4 / 6),
    }
    assert majority({"train": {}, "test": {}}) == {"classes": 0}


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """One item of one source, through every folder that the stage reads; runs it."""
    monkeypatch.chdir(tmp_path)
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
    write_json(tmp_path / "dataset/statistics.json", {"labeled": {}, "coverage": {}, "values": splits})
    ledger = {"rows_in": 5, "rows_kept": 3, "rejected": {"too_small": 2}, "repaired": {}}
    notes = {"notes": {"unknown colors": {"Silver": 2}}}
    for place in ("ingested/shop", "labels/shop", "crops/shop", "dataset"):
        write_json(tmp_path / place / "account.json", {"rows": ledger} | notes)
    args = Namespace(data=tmp_path, metrics=tmp_path / "m.json", plots=tmp_path / "plots", report=tmp_path / "report")
    params = SimpleNamespace(sources=["shop"], detectors=[], label_sources=["shop"])
    return lambda: statistics.main(args, params)


def test_stage_writes_a_table_for_each_head_before_after_and_in_the_data_set(stage, tmp_path):
    stage()
    assert len(list((tmp_path / "plots").glob("*.csv"))) == 1 + len(HEADS)
    with (tmp_path / "plots/type.csv").open() as stream:
        assert list(csv.reader(stream)) == [
            ["panel", "value", "rows"],
            ["before cleaning", "Bags", "2"], ["before cleaning", "Shirts", "1"], ["after cleaning", "Shirts", "1"],
            ["in the data set", "Shirts", "1"],
        ]  # fmt: skip
    assert (tmp_path / "plots/outcomes.csv").read_text() == "panel,value,rows\nshop,matched,1\n"
    content = json.loads((tmp_path / "report/statistics.json").read_text())
    assert content["matching"]["shop"]["top"] == {"items": 1, "matched": 1, "share_cut": 1.0}
    assert content["values"]["type"] == {"classes": 1, "commonest": "Shirts", "share": 1.0}
    assert "type,in the data set,train,Shirts,1" in (tmp_path / "report/values.csv").read_text().splitlines()


def test_metrics_are_totals_over_all_ledgers(stage, tmp_path):
    stage()
    assert json.loads((tmp_path / "m.json").read_text()) == {
        "items": 1, "share_cut": 1.0, "ledgers": 4, "rows_in": 20, "rows_kept": 12, "rejected": 8,
    }  # fmt: skip


def test_ledger_in_which_rows_got_lost_stops_the_stage(stage, tmp_path):
    ledger = {"rows_in": 5, "rows_kept": 3, "rejected": {"too_small": 1}, "repaired": {}}
    write_json(tmp_path / "crops/shop/account.json", {"rows": ledger})
    with pytest.raises(StageError, match="crops/shop/rows: 5 rows in, but 4 kept or rejected"):
        stage()
