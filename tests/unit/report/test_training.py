"""Validation figures and curves of trained encoders, where `dvc metrics diff` and `dvc plots diff` find them."""

from argparse import Namespace
from types import SimpleNamespace

import pandas as pd
import pytest

from stages.core.errors import StageError
from stages.core.files import read_json, write_csv, write_json
from stages.report import training
from stages.report.training import curves


def test_curves_leave_out_the_start_and_what_was_not_measured_in_every_epoch():
    history = pd.DataFrame(
        {"epoch": [0, 1, 2], "train_loss": [None, 2.0, 1.0], "val_loss": [3.0, 2.5, None], "val_knn": [0.1, 0.2, 0.3]}
    )
    assert curves(history).to_dict("list") == {"epoch": [1, 2], "train_loss": [2.0, 1.0], "val_knn": [0.2, 0.3]}
    shares = pd.DataFrame({"share": [0.0, 0.5], "val_knn": [0.1, 0.2]})
    assert curves(shares).to_dict("list") == shares.to_dict("list")


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Two encoders, one of them frozen; runs the stage and gives the files it wrote, by name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("trained_encoders: [siamese, imagenet]\n")
    for name, rows in (("siamese", [[0, None, 0.5], [1, 0.75, 0.625]]), ("imagenet", [[0, None, 0.5]])):
        (tmp_path / "encoders" / name).mkdir(parents=True)
        write_json(
            tmp_path / "encoders" / name / "scores.json", {"val_accuracy": rows[-1][2], "best_epoch": len(rows) - 1}
        )
        write_csv(tmp_path / "encoders" / name / "history.csv", ["epoch", "train_loss", "val_accuracy"], rows)

    def run():
        report = training.main(Namespace(encoders=tmp_path / "encoders", out=tmp_path / "out"), SimpleNamespace())
        return {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}, report

    return run


def test_stage_writes_figures_and_curves_and_of_a_frozen_encoder_its_only_row(stage, tmp_path):
    files, report = stage()
    assert files == {
        "siamese.csv": "epoch,train_loss,val_accuracy\n1,0.75,0.625\n", "imagenet.csv": "epoch,val_accuracy\n0,0.5\n",
    }  # fmt: skip
    assert read_json(tmp_path / "out.json") == {
        "siamese": {"val_accuracy": 0.625, "best_epoch": 1}, "imagenet": {"val_accuracy": 0.5, "best_epoch": 0},
    }  # fmt: skip
    assert report.metrics["siamese.val_accuracy"] == 0.625


def test_missing_history_is_one_message(stage, tmp_path):
    (tmp_path / "encoders/siamese/history.csv").unlink()
    with pytest.raises(StageError, match="history.csv: no such file. Run `dvc repro`"):
        stage()
