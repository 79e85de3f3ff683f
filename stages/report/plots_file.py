"""plots/dvc.yaml: what `dvc plots show` and `dvc plots diff` draw (`make docs` writes it).

Usage: python -m stages.run plots_file [OUT]      (plots/dvc.yaml)

An entry of ``PLOTS`` for each table below metrics/<profile>/plots, which is the same whatever items the lists of a
profile name, and one for each head of tables/heads.csv.
"""

from pathlib import Path
from typing import NamedTuple

from stages.core.heads import HEADS
from stages.runner.stage import new_parser

OUT = Path("plots/dvc.yaml")
HEADER = """\
# Made by `make docs` (stages/report/plots_file.py).
# What `dvc plots show` and `dvc plots diff` draw, of whatever items the lists name: a panel for each of them. Templates
# are in .dvc/plots: `panels` draws lines, `bars` counts, `matrices` confusion matrices; revisions lie over each other,
# or, of matrices, side by side. Tables with more are in data/<profile>/report.
vars:
  - ../params.yaml

plots:
"""


class Plot(NamedTuple):
    """One plot: its title, template of .dvc/plots, table below metrics/<profile>/plots, columns, and labels of axes."""

    title: str
    template: str
    table: str
    x: str
    y: str
    x_label: str | None = None
    y_label: str | None = None


PLOTS = [
    *(
        Plot(f"Labels 1: {head}, rows of each value", "bars", f"statistics/{head}.csv", "rows", "value")
        for head in HEADS
    ),
    Plot("Labels 2: what became of the labeled items", "bars", "statistics/outcomes.csv", "rows", "value"),
    Plot("Detectors 1: losses", "panels", "detector/losses.csv", "x", "y", "epoch", "loss"),
    Plot(
        "Detectors 2: precision, recall and mAP on validation",
        "panels", "detector/validation.csv", "x", "y", "epoch", "share",
    ),
    Plot(
        "Detectors 3: precision against recall",
        "panels", "detector/precision_recall.csv", "x", "y", "recall", "precision",
    ),
    Plot(
        "Detectors 4: precision, recall and F1 against confidence",
        "panels", "detector/confidence.csv", "x", "y", "confidence", "share",
    ),
    Plot("Detectors 5: confusion", "matrices", "detector/confusion.csv", "predicted", "actual"),
    Plot("SimCLR: training", "panels", "simclr/training.csv", "x", "y", "epoch", "value"),
    Plot("Classifier 1: training", "panels", "classifier/training.csv", "x", "y", "epoch", "value"),
    Plot("Classifier 2: confusion of each head", "matrices", "classifier/confusion.csv", "predicted", "actual"),
    Plot(
        "Encoders 1: training, and the same on validation",
        "panels", "training/training.csv", "x", "y", "epoch", "value",
    ),
    Plot(
        "Encoders 2: hit@1 and k-NN accuracy on validation",
        "panels", "training/validation.csv", "x", "y", "epoch (ensemble: share of its second network)", "share",
    ),
    Plot(
        "Encoders 3: hit@k of every encoder on every benchmark",
        "hit_at_k", "retrieval/hit_at_k.csv", "k", "hit",
    ),
]  # fmt: skip


def text_of(plot: Plot) -> str:
    """Its lines in the file."""
    lines = [
        f'  - "{plot.title}":',
        f"      template: {plot.template}",
        f"      x: {plot.x}",
        "      y:",
        f"        ../metrics/${{profile}}/plots/{plot.table}: {plot.y}",
    ]
    labels = {"x_label": plot.x_label, "y_label": plot.y_label}
    lines += [f"      {key}: {_quoted(label)}" for key, label in labels.items() if label]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return f'"{text}"' if ":" in text else text


def file_text() -> str:
    """The whole file."""
    return HEADER + "".join(map(text_of, PLOTS))


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=OUT)
    parser.parse_args().out.write_text(file_text(), encoding="utf-8")
