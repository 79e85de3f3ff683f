"""Rows of plots by epoch of a detector's training."""

import pandas as pd

from stages.detection.plots import losses, validation


def test_validation_has_a_panel_for_each_detector_and_a_line_for_each_figure():
    columns = ["val_precision", "val_recall", "val_map50", "val_map50_95"]
    history = pd.DataFrame([[1, 9.0, 0.1, 0.2, 0.3, 0.4], [2, 8.0, 0.5, 0.6, 0.7, 0.8]])
    history.columns = ["epoch", "train_box_loss", *columns]
    assert validation("shoes", history) == [
        ["shoes", "precision", 1, 0.1], ["shoes", "precision", 2, 0.5],
        ["shoes", "recall", 1, 0.2], ["shoes", "recall", 2, 0.6],
        ["shoes", "mAP50", 1, 0.3], ["shoes", "mAP50", 2, 0.7],
        ["shoes", "mAP50-95", 1, 0.4], ["shoes", "mAP50-95", 2, 0.8],
    ]  # fmt: skip


def test_losses_have_a_panel_each_with_train_and_validation_in_it():
    history = pd.DataFrame(
        {"epoch": [1, 2], "train_box_loss": [4.0, 2.0], "val_box_loss": [3.0, 2.5], "val_map50": [0, 1]}
    )
    assert losses("shoes", history) == [
        ["shoes, box", "train", 1, 4.0], ["shoes, box", "train", 2, 2.0],
        ["shoes, box", "validation", 1, 3.0], ["shoes, box", "validation", 2, 2.5],
    ]  # fmt: skip
