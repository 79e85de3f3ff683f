"""Rows of figures about a training: what is shown, reported, selected by, and warned of."""

from stages.core.errors import StageError
from stages.encoders.recipes import ProbeParams
from stages.encoders.validation import Scores
from stages.learning.loop import Row

COLLAPSED = 0.01  # spread of the validation vectors below which they are all the same


def before_and_after(before: Row, after: Row, chance: Scores) -> dict[str, float]:
    """What a stage reports: the epoch that was kept, its scores, those before training, and chance.

    Args:
        before, after: rows of the history.
        chance: what guessing gives, by figure; its figures are reported, and the vectors' spread.
    """
    scores = {"best_epoch": after["epoch"]}
    for name in (*chance, "spread"):
        scores |= {f"val_{name}_before": before[f"val_{name}"], f"val_{name}": after[f"val_{name}"]}
        scores |= {f"val_{name}_chance": chance.get(name)}
    return {name: float(value) for name, value in scores.items() if value is not None}


def check_select(params: ProbeParams, row: Row) -> None:
    """Refuse a selection by a figure that is not there."""
    if row.get(f"val_{params.select}") is None:
        there = [
            name[4:]
            for name, value in row.items()
            if name in ("val_hit_at_1", "val_knn", "val_loss") and value is not None
        ]
        raise StageError(
            f"params.yaml: `probe.select` is {params.select}, which the validation rows do not allow "
            "(no known partners, no known categories, or no loss on them); "
            f"choose from: {', '.join(there) or 'nothing'}."
        )


def collapse(row: Row) -> str | None:
    """What is wrong when all validation vectors are the same."""
    spread = row["val_spread"]
    if spread is None or spread >= COLLAPSED:
        return None
    return f"the vectors have collapsed: spread {spread:.4f} of at most 1, so all pictures look the same to it"
