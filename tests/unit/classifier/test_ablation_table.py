"""The table of all variants of the ablation."""

import csv
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest

from stages.classifier import ablation_table
from stages.core.errors import StageError
from stages.core.files import read_json, write_json


def figures(mean, **heads):
    scored = {name: {"rows": 5, "accuracy": value, "baseline_majority": 0.25} for name, value in heads.items()}
    return {"mean": {"accuracy": mean, "baseline_majority": 0.25}, "heads": scored | {"usage": {"rows": 0}}}


def run_table(folder, names, monkeypatch):
    monkeypatch.chdir(folder)
    args = Namespace(table=Path("all"), results=folder / "ablation", out=folder / "ablation")
    return ablation_table.main(args, SimpleNamespace(variants=names))


def test_table_has_a_line_for_each_variant_in_the_order_of_the_list(tmp_path, monkeypatch):
    write_json(tmp_path / "ablation/z.json", figures(0.5, type=0.4, color=0.6) | {"published_mean_accuracy": 0.35})
    write_json(tmp_path / "ablation/a.json", figures(0.7, type=0.7))
    write_json(tmp_path / "ablation/left_over.json", figures(0.9, type=0.9))
    run_table(tmp_path, ["z", "a"], monkeypatch)
    with (tmp_path / "ablation.csv").open() as stream:
        lines = list(csv.DictReader(stream))
    assert [line["variant"] for line in lines] == ["z", "a"]
    assert lines[0] == {
        "variant": "z", "published": "0.35", "mean": "0.5", "mean_majority": "0.25", "color": "0.6",
        "color_majority": "0.25", "type": "0.4", "type_majority": "0.25",
    }  # fmt: skip
    assert (lines[1]["published"], lines[1]["color"]) == ("", "")
    assert read_json(tmp_path / "ablation.json")["a"] == {
        "mean": 0.7, "mean_majority": 0.25, "type": 0.7, "type_majority": 0.25,
    }  # fmt: skip
    rows = ablation_table.read_rows(tmp_path / "ablation.csv")
    assert list(rows) == ["z", "a"]
    text = ablation_table.as_text(rows)
    assert text.splitlines() == [
        "variant  published mean  mean           color          type",
        "z        0.35            0.500 (0.250)  0.600 (0.250)  0.400 (0.250)",
        "a                        0.700 (0.250)                 0.700 (0.250)",
    ]


def test_table_of_nothing_or_of_a_variant_that_was_not_run_is_refused(tmp_path, monkeypatch):
    with pytest.raises(StageError, match="`ablation_variants` is empty"):
        run_table(tmp_path, [], monkeypatch)
    with pytest.raises(StageError, match=r"never\.json: no such file"):
        run_table(tmp_path, ["never"], monkeypatch)
