"""The lines of docs/leaderboard.md: every encoder on every benchmark, and published numbers.

Lines are read from data/<profile>/report/retrieval/<encoder>.json, as evaluate_retrieval writes them; scores are over
the whole gallery. If the benchmark's items are labels, a line has category_top_<n> too: by the vote of the neighbors,
and in the row of chance by naming the most frequent categories. ``softmax`` is category prediction by an encoder's own
category path.

Published numbers are read from docs/published.csv: each has its system, benchmark, metric and source.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json
from stages.retrieval.catalogue import Place, find
from stages.retrieval.category import PREDICTION, TOPS
from stages.retrieval.evaluate_retrieval import CHANCE, VIEW

Columns = tuple[tuple[str, str], ...]  # (key of a line, heading)


@dataclass(frozen=True)
class Published:
    """One number of docs/published.csv.

    Attributes:
        high: the upper end if a range was published.
        encoder: encoder of this project with the system's method, whose row it stands below; empty if there is none.
    """

    system: str
    benchmark: str
    metric: str
    value: float
    high: float | None
    source: str
    note: str
    encoder: str = ""


def prose(text: str, below: str = "") -> list[str]:
    """A paragraph as lines of at most 120 columns, the second and later ones indented by ``below``."""
    return wrap(text, 120, subsequent_indent=below, break_long_words=False, break_on_hyphens=False)


def read_published(path: Path) -> list[Published]:
    """The table of published numbers.

    Raises:
        StageError: when there is no such file, a line has no share between 0 and 1, or a column is missing.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such file. It is part of the project: `git checkout {path}` brings it back.")
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        rows = []
        for number, row in enumerate(reader, start=2):
            try:
                value = _share(row["value"])
                high = _share(row["value_high"]) if row["value_high"] else None
                names = (row[name] for name in ("system", "benchmark", "metric"))
                rows.append(Published(*names, value, high, row["source"], row["note"], row["encoder"]))
            except (KeyError, TypeError, ValueError) as error:
                raise StageError(
                    f"{path}, line {number}: {error!r}; expected system, encoder, benchmark, metric, value, "
                    "value_high, source, note, with shares between 0 and 1 as values."
                ) from None
    return rows


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(f"{text} is no share")
    return value


COUNTS = ("n_scored", "n_missed", "n_without_match")
ABOUT = ("gallery", "dimensions", "parameters", "image_size", "kept_epoch", "on_validation")


def shown_scores(scores: dict[str, Any]) -> dict[str, float]:
    """The scores that the leaderboard shows: those of the whole gallery, and of category prediction.

    Args:
        scores: the evaluator's, by view of the gallery.
    """
    own = scores[VIEW]
    known = [measure for measure in map(find, own) if measure and measure.metric.shown.get(Place.PAGE)]
    ends = [end for measure in known if measure.shown(Place.INTERVAL) for end in measure.ends]
    names = [*(measure.key for measure in known), *ends, *COUNTS]
    tops = [f"top_{top}" for top in TOPS]
    votes = scores.get(PREDICTION, {})
    return {name: own[name] for name in names if name in own} | {
        f"category_{name}": votes[name] for name in tops if name in votes
    }


def entry(result: dict[str, Any]) -> dict[str, Any]:
    """The line of one encoder, or of external vectors, on one benchmark; what was not measured is left out."""
    line: dict[str, Any] = shown_scores(result) | {name: result[name] for name in ABOUT if name in result}
    if "flip" in result:
        line["without_flip"] = shown_scores(result["flip"]["off"])
    if "clean" in result:
        line["clean"] = shown_scores(result["clean"]) | {"n_left_out": result["clean"]["n_left_out"]}
    if "softmax" in result:
        line["softmax"] = result["softmax"]
    if "regions" in result:
        line["regions"] = {number: shown_scores(scores) for number, scores in result["regions"].items()}
        line["recommendation"] = result["recommendation"]
    return line


def leaderboard(results: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Encoder -> benchmark -> line, and chance, which is the same for all encoders.

    Args:
        results: encoder -> benchmark -> what the evaluator gave.
    """
    board = {encoder: {name: entry(result) for name, result in own.items()} for encoder, own in results.items()}
    first = next(iter(results.values()), {})
    return board | {CHANCE: {name: shown_scores(result["chance"]) for name, result in first.items()}}


def read_board(folder: Path) -> dict[str, dict[str, Any]]:
    """The leaderboard of a profile, from its folder of detailed results."""
    return leaderboard({path.stem: read_json(path) for path in sorted(folder.glob("*.json"))})


def published_rows(published: list[Published], benchmark: str, columns: Columns) -> dict[str, list[list[str]]]:
    """Encoder of this project with the system's method (empty: there is none) -> rows of published systems.

    A row for each system and source with a number in one of the columns, in the order of the table.
    """
    systems: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in published:
        if row.benchmark == benchmark and row.metric in dict(columns):
            text = f"*{row.value:.3f}*" if row.high is None else f"*{row.value:.2f} to {row.high:.2f}*"
            systems.setdefault((row.encoder, row.system, row.source), {})[row.metric] = text
    rows: dict[str, list[list[str]]] = {}
    for (encoder, system, _), numbers in systems.items():
        cells = (numbers.get(key, "-") for key, _ in columns)
        rows.setdefault(encoder, []).append([f"*{system}* (published)", "-", "-", "-", *cells])
    return rows


def sources(published: list[Published], benchmark: str, columns: Columns) -> list[str]:
    """An entry for each source of a benchmark's published rows: its systems and the notes on them."""
    by_source: dict[str, dict[str, str]] = {}
    for row in published:
        if row.benchmark == benchmark and row.metric in dict(columns):
            by_source.setdefault(row.source, {}).setdefault(row.system, row.note)
    lines = []
    for source, systems in by_source.items():
        names = "; ".join(f"{system} ({note})" if note else system for system, note in systems.items())
        lines += prose(f"- {source}: {names}.", below="  ")
    return lines
