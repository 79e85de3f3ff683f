"""What flip test-time augmentation (``embed.flip``) gains: the same figures with and without it.

With it on, embed writes the vectors that count into its folder and those of the pictures alone into ``PLAIN`` below it,
under the same names. One evaluator scores both.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

PLAIN = "plain"
FIGURES = ("hit_at_1", "hit_at_1_low95", "hit_at_1_high95", "hit_at_5", "map", "map_low95", "map_high95", "mrr",
           "top_1", "top_3", "top_5")  # fmt: skip


def headline(result: dict[str, Any]) -> dict[str, dict[str, float]]:
    """View of the gallery, or category prediction -> those of ``FIGURES`` that the evaluator gave for it."""
    views = {view: scores for view, scores in result.items() if isinstance(scores, dict) and "n_scored" in scores}
    return {view: {name: scores[name] for name in FIGURES if name in scores} for view, scores in views.items()}


def on_and_off(
    result: dict[str, Any], embeddings: Path, score: Callable[[Path], dict[str, Any]]
) -> dict[str, dict[str, dict[str, float]]] | None:
    """Figures with flip (``on``) beside those without it (``off``); None when embed ran without it.

    Args:
        result: what the evaluator gave for the vectors in ``embeddings``.
        embeddings: an encoder's folder of vectors.
        score: the evaluator, for another folder of vectors of the same benchmark.
    """
    plain = embeddings / PLAIN
    if not plain.is_dir():
        return None
    return {"on": headline(result), "off": headline(score(plain))}
