"""plots/dvc.yaml is what the generator writes, and follows the heads."""

from pathlib import Path

import yaml

from stages.core.heads import HEADS
from stages.report.plots_file import OUT, Plot, file_text, text_of

ROOT = Path(__file__).resolve().parents[3]


def test_the_file_is_what_is_generated():
    """`make docs` writes it."""
    assert (ROOT / OUT).read_text(encoding="utf-8") == file_text()


def test_there_is_a_plot_for_each_head():
    titles = [title for entry in yaml.safe_load(file_text())["plots"] for title in entry]
    assert titles[: len(HEADS)] == [f"Labels 1: {head}, rows of each value" for head in HEADS]


def test_a_plot_is_an_entry_that_dvc_reads():
    plot = Plot("Losses: all", "panels", "a/losses.csv", "x", "y", "epoch (start: 0)", "loss")
    assert yaml.safe_load(text_of(plot)) == [
        {
            "Losses: all": {
                "template": "panels", "x": "x", "y": {"../metrics/${profile}/plots/a/losses.csv": "y"},
                "x_label": "epoch (start: 0)", "y_label": "loss",
            }
        }
    ]  # fmt: skip
