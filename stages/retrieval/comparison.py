"""The scores that are shown where vectors of one encoder are compared: with and without flip, region by region."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stages.retrieval.catalogue import Place, shown_names
from stages.retrieval.category import TOPS
from stages.retrieval.vectors import PLAIN

_TOPS = {f"top_{top}" for top in TOPS}


def compared(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """View of the gallery, or category prediction -> the scores that a comparison shows."""
    views = {view: scores for view, scores in result.items() if isinstance(scores, dict) and "n_scored" in scores}
    return {
        view: {
            key: scores[key] for key in (*shown_names(Place.COMPARED, scores, Place.BRACKETS), *(_TOPS & scores.keys()))
        }
        for view, scores in views.items()
    }


def on_and_off(
    result: dict[str, Any], embeddings: Path, score: Callable[[Path], dict[str, Any]]
) -> dict[str, dict[str, dict[str, float]]] | None:
    """Scores with flip (``on``) and without it (``off``); None if embed ran without flip.

    Args:
        result: what the evaluator gave for the vectors in ``embeddings``.
        embeddings: an encoder's folder of vectors.
        score: the evaluator, for another folder of vectors of the same benchmark.
    """
    plain = embeddings / PLAIN
    if not plain.is_dir():
        return None
    return {"on": compared(result), "off": compared(score(plain))}
