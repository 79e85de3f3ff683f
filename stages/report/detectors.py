"""The detectors' part of docs/leaderboard.md: this project's, a box that looks at no image, and published ones.

Read from data/<profile>/report/detector/<detector>.json, as evaluate_detector writes them, and from the rows
``detector_<name>`` of tables/published.csv.
"""

from pathlib import Path
from typing import Any

from stages.core.files import read_json
from stages.report.leaderboard import Published, prose

PREFIX = "detector_"  # of their benchmarks in tables/published.csv
COLUMNS = {"map50": "mAP50", "map50_95": "mAP50-95", "precision": "precision", "recall": "recall", "f1": "F1"}
ALIKE = {"ap": "map50_95"}  # COCO's name
ABOUT = (
    "Scores are of the annotated images of the test split. Precision, recall and F1 are means over the classes, at the "
    "confidence with the highest mean F1. *Constant box* answers every image with the median training box of each "
    "class. `data/<profile>/report/detector/` has every class, its curves and sample detections; "
    "`data/<profile>/crops/` has pictures of matched and unmatched detections."
)


def read_detectors(folder: Path) -> dict[str, dict[str, Any]]:
    """Detector -> its figures; none of a profile that has not scored any."""
    return {path.stem: read_json(path) for path in sorted(folder.glob("*.json"))}


def detector_section(detectors: dict[str, dict[str, Any]], published: list[Published], notes: list[str]) -> list[str]:
    """Heading, table and the sources of published rows; nothing where no detector was scored.

    Args:
        detectors: as ``read_detectors`` gives them.
        published: the whole table; what is not about one of these detectors is left out.
        notes: lines that stand above the sources of published rows.
    """
    if not detectors:
        return []
    header = ["detector", "images", "boxes", *COLUMNS.values()]
    lines = ["### Detectors", "", *prose(ABOUT), ""]
    lines += [f"| {' | '.join(header)} |", "| --- |" + " ---: |" * (len(header) - 1)]
    sources: dict[str, dict[str, list[str]]] = {}  # source -> system -> what must be known of its figures
    for name, scores in detectors.items():
        lines.append(_row([name, str(scores["images"]), str(scores["boxes"])], scores, "{:.3f}"))
        lines.append(_row([f"{name}, constant box", "-", "-"], {"map50": scores["constant_box"]}, "{:.3f}"))
        systems: dict[tuple[str, str], dict[str, float]] = {}
        for row in published:
            metric = ALIKE.get(row.metric, row.metric)
            if row.benchmark == PREFIX + name and metric in COLUMNS:
                systems.setdefault((row.system, row.source), {})[metric] = row.value
                notes_of = sources.setdefault(row.source, {}).setdefault(row.system, [])
                notes_of += [row.note] if row.note and row.note not in notes_of else []
        for (system, _), numbers in systems.items():
            lines.append(_row([f"*{system}* (published), {name}", "-", "-"], numbers, "*{:.3f}*"))
    if sources:
        lines += ["", *notes, ""]
        for source, named in sources.items():
            systems_of = (f"{system} ({'; '.join(about)})" if about else system for system, about in named.items())
            lines += prose(f"- {source}: {'; '.join(systems_of)}.", below="  ")
    return [*lines, ""]


def _row(start: list[str], scores: dict[str, Any], form: str) -> str:
    return f"| {' | '.join([*start, *(form.format(scores[key]) if key in scores else '-' for key in COLUMNS)])} |"
