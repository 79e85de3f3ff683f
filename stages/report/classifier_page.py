"""docs/classifier.md: the classifier's heads next to the published ones (`make docs`).

Usage: python -m stages.run classifier_page [OUT]      (docs/classifier.md)

Reads:  data/<profile>/report/classifier.json and classifier/ of every profile that has them (`dvc repro`, or
        `dvc pull`), docs/published.csv, and `demo_sources` of profiles/<profile>.yaml: if it names a source, the
        data is drawn, and the page says so.
"""

import csv
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json
from stages.core.params import load_params
from stages.report.leaderboard import Published, prose, read_published
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

GENDER, POSITIVE = "gender", "Women"  # the class that the publication counts as positive
PREFIX = "classifier_"  # of a head's lines in docs/published.csv
PAIRS = 3  # confused pairs of a head
INTRO = """# The heads of the classifier

The accuracy of each head, next to two baselines and to the published scores. `make docs` writes this page from
`data/<profile>/report/classifier/` and `docs/published.csv`.

Scores are of the test split. Precision, recall and F1 are means over the classes that occur in it. *Majority* always
answers the commonest label of the training split; *given the class* answers the commonest label of the detected class.
Columns in italics are **published, not measured in this project**: other data, and the authors' validation split.

`data/<profile>/report/classifier/` has more: `by_class.csv` every class, `confused.csv` every pair of confused
classes. Labels that are probably wrong are in [label-errors.md](label-errors.md).
"""
DRAWN = (
    "This profile's images are **drawn by the project**, so its scores cannot be compared with scores on real photos."
)
HEAD_COLUMNS = ["head", "rows", "accuracy", "majority", "given the class", "precision", "recall", "F1"]
PUBLISHED = ["*accuracy*", "*precision*", "*recall*"]
COUNTS = ["", "rows", "TP", "FN", "TN", "FP", "precision", "recall", "F1"]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table whose first column is text, the others numbers."""
    return [
        "| " + " | ".join(header) + " |",
        "| --- |" + " ---: |" * (len(header) - 1),
        *("| " + " | ".join(row) + " |" for row in rows),
    ]


def number(value: Any) -> str:
    """Three digits; a dash where there is none."""
    return "-" if value in (None, "") else f"{float(value):.3f}"


def head_rows(scores: dict[str, Any], published: dict[str, dict[str, float]]) -> list[list[str]]:
    """A row for each head that has test rows, and one for the type's group.

    Args:
        scores: the report of evaluate_classifier.
        published: head -> metric -> value.
    """
    groups = {"type_group": scores["type_group"]} if "type_group" in scores else {}
    rows = []
    for head, own in (scores["heads"] | groups).items():
        if not own["rows"]:
            continue
        ours = ("accuracy", "baseline_majority", "baseline_majority_given_detected")
        macro = ("precision_macro", "recall_macro", "f1_macro")
        theirs = published.get(head, {})
        theirs_shown = [f"*{theirs[key]:.2f}*" if key in theirs else "-" for key in ("accuracy", "precision", "recall")]
        rows.append([head, str(own["rows"]), *(number(own[key]) for key in (*ours, *macro)), *theirs_shown])
    return rows


def gender_rows(by_class: list[dict[str, str]], published: list[Published]) -> list[list[str]]:
    """Counts of Women against Men, this project's and the published ones; empty without such a class."""
    own = [row for row in by_class if (row["head"], row["class"]) == (GENDER, POSITIVE)]
    rows = [
        [POSITIVE, *(row[key] for key in ("rows", "tp", "fn", "tn", "fp")),
         *(number(row[key]) for key in ("precision", "recall", "f1"))]
        for row in own
    ]  # fmt: skip
    theirs = {row.metric: row.value for row in published if row.benchmark == f"{PREFIX}{GENDER}_{POSITIVE}"}
    if rows and theirs:
        scores = [f"*{theirs[key]:.4f}*" if key in theirs else "-" for key in ("precision", "recall", "f1")]
        rows.append([f"*{POSITIVE}* (published)", "-", "-", "-", "-", "-", *scores])
    return rows


def confusions(confused: list[dict[str, str]]) -> list[str]:
    """A line for each head: the classes that are most often taken for another one."""
    lines = []
    for head in dict.fromkeys(row["head"] for row in confused):
        own = [row for row in confused if row["head"] == head][:PAIRS]
        confused_pairs = "; ".join(
            f"{row['actual']} as {row['predicted']} ({row['rows']}, {float(row['share']):.0%})" for row in own
        )
        lines.append(f"- {head}: {confused_pairs}")
    return lines


def profile_section(name: str, folder: Path, published: list[Published], drawn: bool) -> list[str]:
    """What one profile's classifier reached.

    Args:
        folder: data/<profile>/report.
    """
    tables = {
        table: list(csv.DictReader((folder / "classifier" / f"{table}.csv").open(encoding="utf-8", newline="")))
        for table in ("by_class", "confused")
    }
    of_head: dict[str, dict[str, float]] = {}
    for row in published:
        if row.benchmark.startswith(PREFIX):
            of_head.setdefault(row.benchmark.removeprefix(PREFIX), {})[row.metric] = row.value
    lines = [f"## Profile {name}" + (" (drawn data)" if drawn else ""), ""]
    lines += [*markdown(HEAD_COLUMNS + PUBLISHED, head_rows(read_json(folder / "classifier.json"), of_head)), ""]
    if gender := gender_rows(tables["by_class"], published):
        lines += [*markdown(COUNTS, gender), ""]
    if lines_of_heads := confusions(tables["confused"]):
        lines += [
            "Most frequent confusions, label as prediction (test rows, share of the class):",
            "",
            *lines_of_heads,
            "",
        ]
    return lines + ([DRAWN, ""] if drawn else [])


def write_page(out: Path) -> None:
    """Read every profile's figures, write the page.

    Raises:
        StageError: when no profile has any yet.
    """
    folders = {path.parts[1]: path.parent for path in sorted(Path("data").glob("*/report/classifier"))}
    if not folders:
        raise StageError("no data/<profile>/report/classifier. Run `dvc repro evaluate_classifier`.")
    published = read_published(Path("docs/published.csv"))
    lines = [INTRO]
    for name, folder in folders.items():
        profile = Path("profiles") / f"{name}.yaml"
        drawn = profile.is_file() and bool(load_params(profile).get("demo_sources"))
        lines += profile_section(name, folder, published, drawn)
    notes = {row.note: row.source for row in published if row.benchmark.startswith(PREFIX)}
    for source in dict.fromkeys(notes.values()):
        remarks = "; ".join(note for note, own in notes.items() if note and own == source)
        lines += [*prose(f"Published: {source} ({remarks})."), ""]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    log.info(f"{out}: {len(folders)} profiles")


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=Path("docs/classifier.md"))
    args = parser.parse_args()
    with one_message():
        write_page(args.out)
