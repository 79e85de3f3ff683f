"""Take suggested corrections of labels into data/relabel.csv; the next `dvc repro` applies them.

Usage: python -m stages.run relabel KEPT.csv                         the lines that a person kept
       python -m stages.run relabel --confidence .9 [--head type]    every suggestion with this confidence or more

Reads:  KEPT.csv, a copy of data/<profile>/suspects/relabel_suggestions.csv without the lines that you reject (you may
        change a value, or empty it for unknown); or data/<profile>/suspects/suspects.csv.
Writes: lines at the end of data/relabel.csv. A label that the file corrects already keeps that correction.
"""

import csv
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from stages.contracts.tables import RELABEL
from stages.core.errors import StageError
from stages.core.heads import HEADS
from stages.core.params import load_params, lookup
from stages.labels.labels import read_corrections
from stages.runner.stage import new_parser, one_message
from stages.suspects.corrections import correction_of

log = logging.getLogger(__name__)

CORRECTIONS = Path("data/relabel.csv")
Line = dict[str, str]  # column of RELABEL -> value


def kept_lines(path: Path, sources: Iterable[str]) -> list[Line]:
    """The lines of a file of corrections, checked as those of data/relabel.csv are.

    Raises:
        StageError: when the file is missing or a line does not fit, naming file and line.
    """
    read_corrections(path, set(sources))
    with path.open(newline="", encoding="utf-8-sig") as stream:
        return [{name: cell.strip() for name, cell in row.items()} for row in csv.DictReader(stream)]


def sure_lines(suspects: Path, least: float, head: str | None = None) -> list[Line]:
    """The suggestions of the stage `suspects` whose confidence is ``least`` or more, of one head or of all.

    Raises:
        StageError: when the table is missing.
    """
    if not suspects.is_file():
        raise StageError(f"{suspects}: no such file. It is made by a stage: run `dvc repro suspects`.")
    with suspects.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if float(row["confidence"]) >= least]
    return [correction_of(row) for row in rows if head in (None, row["head"])]


def add_lines(path: Path, lines: Iterable[Line], sources: Iterable[str]) -> str:
    """Append what ``path`` does not correct yet, and say in a sentence what was done.

    Raises:
        StageError: when a line of ``path`` itself does not fit.
    """
    corrected = {(line.source, line.item_id, line.column): line.value for line in read_corrections(path, set(sources))}
    new, same, differing = [], 0, 0
    for line in lines:
        key = (line["source"], line["item_id"], line["column"])
        if key not in corrected:
            corrected[key] = line["value"]
            new.append(line)
        elif corrected[key] == line["value"]:
            same += 1
        else:
            differing += 1
    if new:
        text = path.read_text(encoding="utf-8-sig")
        with path.open("a", newline="", encoding="utf-8") as stream:
            stream.write("" if text.endswith("\n") else "\n")
            writer = csv.DictWriter(stream, RELABEL, lineterminator="\n")
            writer.writerows({name: line[name] for name in RELABEL} for line in new)
    counts = Counter(line["column"] for line in new)
    added = ", ".join(f"{count} of {column}" for column, count in sorted(counts.items()))
    text = f"{path}: {len(new)} line{'s' * (len(new) != 1)} added" + (f" ({added})" if added else "")
    text += f"; {same} already there" if same else ""
    text += f"; {differing} corrected there to another value, which stays" if differing else ""
    return text


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("kept", nargs="?", type=Path, metavar="KEPT.csv", help="the lines that a person kept")
    parser.add_argument("--confidence", type=float, help="take every suggestion with this confidence or more, 0 to 1")
    parser.add_argument("--head", choices=HEADS, help="with --confidence: only suggestions for this head")
    args = parser.parse_args()
    with one_message():
        content = load_params()
        folder = Path("data", str(lookup(content, "profile")), "suspects")
        sources = lookup(content, "labels.policies")
        if (args.kept is None) == (args.confidence is None) or (args.head and args.kept):
            raise StageError(
                "relabel: say which suggestions to take. Either a file of lines that you kept: copy "
                f"{folder / 'relabel_suggestions.csv'}, delete what you do not believe, `make relabel KEPT=copy.csv`; "
                "or all that are sure: `make relabel CONFIDENCE=.99`, with HEAD=type those of one head."
            )
        if args.kept:
            lines = kept_lines(args.kept, sources)
        else:
            lines = sure_lines(folder / "suspects.csv", args.confidence, args.head)
        print(add_lines(CORRECTIONS, lines, sources) + ".")
        print("`make repro` applies the file, `make review` then shows what it moved.")
