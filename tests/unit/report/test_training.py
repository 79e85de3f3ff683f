"""Validation figures and curves of trained encoders, where `dvc metrics diff` and `dvc plots diff` find them."""

from argparse import Namespace
from types import SimpleNamespace

import pandas as pd
import pytest

from stages.core.errors import StageError
from stages.core.files import read_json, write_csv, write_json
from stages.report import training
from stages.report.training import trained_rows, validation_rows


def test_training_and_validation_share_a_panel_without_the_start_and_what_was_not_measured():
    history = pd.DataFrame(
        {"epoch": [0, 1, 2], "learning_rate": [None, 0.1, 0.1], "train_loss": [None, 2.0, 1.0], "val_loss": [3.0, 2.5, None]}
    )  # fmt: skip
    assert trained_rows("fir", history) == [
        ["fir, loss", "train", 1, 2.0], ["fir, loss", "train", 2, 1.0], ["fir, loss", "validation", 1, 2.5],
    ]  # fmt: skip


def test_validation_begins_at_the_start_and_an_ensemble_goes_by_its_shares():
    history = pd.DataFrame({"epoch": [0, 1], "val_hit_at_1": [0.25, 0.5], "val_knn": [0.125, 0.25]})
    assert validation_rows("fir", history) == [
        ["fir", "hit@1", 0, 0.25], ["fir", "hit@1", 1, 0.5],
        ["fir", "k-NN accuracy", 0, 0.125], ["fir", "k-NN accuracy", 1, 0.25],
    ]  # fmt: skip
    shares = pd.DataFrame({"share": [0.0, 0.5], "val_hit_at_1": [0.25, 0.5]})
    assert validation_rows("two", shares) == [["two", "hit@1", 0.0, 0.25], ["two", "hit@1", 0.5, 0.5]]
    assert trained_rows("two", shares) == validation_rows("frozen", history[:1]) == []


@pytest.fixture
def stage(tmp_path):
    """Two encoders, one of them frozen; runs the stage."""
    for name, rows in (("siamese", [[0, None, 0.5], [1, 0.75, 0.625]]), ("imagenet", [[0, None, 0.5]])):
        (tmp_path / "encoders" / name).mkdir(parents=True)
        scores = {"val_hit_at_1": rows[-1][2], "val_hit_at_1_before": 0.5, "val_knn": 0.25, "best_epoch": len(rows) - 1}
        write_json(tmp_path / "encoders" / name / "scores.json", scores)
        write_csv(tmp_path / "encoders" / name / "history.csv", ["epoch", "train_loss", "val_hit_at_1"], rows)
    args = Namespace(encoders=tmp_path / "encoders", metrics=tmp_path / "metrics", plots=tmp_path / "plots")
    return lambda: training.main(args, SimpleNamespace(trained_encoders=["siamese", "imagenet"]))


def test_stage_writes_hit_at_1_before_and_after_and_the_curves(stage, tmp_path):
    report = stage()
    assert read_json(tmp_path / "metrics/siamese.json") == {"hit@1": 0.625, "hit@1_before": 0.5, "epoch": 1}
    assert read_json(tmp_path / "metrics/imagenet.json") == {"hit@1": 0.5, "hit@1_before": 0.5, "epoch": 0}
    assert (tmp_path / "plots/training.csv").read_text() == 'panel,line,x,y\n"siamese, loss",train,1,0.75\n'
    assert (tmp_path / "plots/validation.csv").read_text() == (
        "panel,line,x,y\nsiamese,hit@1,0,0.5\nsiamese,hit@1,1,0.625\n"
    )
    assert report.metrics["siamese.val_knn"] == 0.25


def test_missing_history_is_one_message(stage, tmp_path):
    (tmp_path / "encoders/siamese/history.csv").unlink()
    with pytest.raises(StageError, match="history.csv: no such file. Run `dvc repro`"):
        stage()
