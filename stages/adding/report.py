"""The report of `make add` on one screen: what was guessed, what a person must check, what was written."""

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import Any

from stages.adding.measure import Measured, rejected_lines
from stages.adding.photos import MOST
from stages.adding.profile import LabelTable
from stages.adding.recognized import Recognized
from stages.contracts.tables import SPLITS
from stages.ingest.files import OUTSIDE

WIDTH = 118  # columns
NAMED = 8  # labels in a line
REASONS_SHOWN = 5  # reasons for which photos or rows are left out
LEAST_TEST = 30  # test items; with fewer, scores are coarse


@dataclass(frozen=True)
class Report:
    """The facts that the report of a source shows."""

    source: str
    recognized: Recognized
    measured: Measured
    labels: LabelTable | None
    fitted: dict[str, Any]
    detector: dict[str, Any] | None
    wrote: list[str]
    kept: Counter
    warnings: list[str]
    salient: bool = False  # U²-Net-p draws the detector's boxes


def lines(report: Report) -> list[str]:
    """The lines of the report."""
    entries = [
        ("format", report.recognized.what),
        *report.recognized.guesses,
        *_left_out(report.measured),
        *_labels(report),
        *_splits(report),
        *_unused(report),
        ("boxes", _boxes(report)),
        ("fitted", _fitted(report)),
        *(("wrote", entry) for entry in report.wrote if entry),
        *(("WARNING", entry) for entry in report.warnings),
        ("next", _next(report)),
    ]
    return [f"Source {report.source}", *(line for what, text in entries for line in _wrapped(what, text))]


def _wrapped(what: str, text: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"  {what:<8}", subsequent_indent=" " * 10, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def _left_out(measured: Measured) -> list[tuple[str, str]]:
    omitted = rejected_lines(measured.rejected, measured.examples)
    result = [("omitted", reason) for reason in omitted[:REASONS_SHOWN]]
    if rest := omitted[REASONS_SHOWN:]:
        result.append(("omitted", f"{len(rest)} further reasons: make ingest-report names them"))
    if measured.elsewhere:
        outside = " outside of the folders that this format reads"
        counts = ", ".join(f"{count} {kind.replace(OUTSIDE, outside)}" for kind, count in measured.elsewhere.items())
        result.append(("omitted", counts))
    if sum(measured.images.values()) > MOST:
        result.append(("note", f"more than {MOST} photos, so none was opened: ingest counts those that cannot be read"))
    return result


def _labels(report: Report) -> list[tuple[str, str]]:
    table, measured = report.labels, report.measured
    if table is None:
        return [("labels", f"{len(measured.by_label())} types, by the tables of this format (tables/types.csv, ...); "
                 f"heads {', '.join(measured.heads)}")]  # fmt: skip
    by_label = measured.by_label()
    total = {label: sum(counts.values()) for label, counts in by_label.items()}
    superclasses = Counter(table.superclass_of[label] for label in by_label if table.superclass_of[label])
    by_superclass = ", ".join(f"{name} {count}" for name, count in superclasses.most_common())
    path = f"tables/{report.source}_labels.csv"
    result = [("labels", f"{len(by_label)} in {path}; labels by superclass: {by_superclass or 'none has one'}")]
    names = sorted(by_label, key=lambda label: -total[label])
    empty = [label for label in names if not table.superclass_of[label]]
    by_word = [
        f"{label or '(empty)'} = {table.superclass_of[label]}"
        for label in names
        if table.superclass_of[label] and not table.guesses[label].sure and label not in table.edited
    ]
    if by_word:
        result.append(("CHECK", f"guessed from a part of the name: {_some(by_word)}"))
    if empty:
        counted = [f"{label or '(empty)'} {total[label]}" for label in empty]
        result.append(("CHECK", f"no superclass, so left out: {_some(counted)}. Give those that are garments one"))
    if table.edited:
        result.append(("kept", f"superclasses that you chose: {_some(table.edited)}"))
    return result


def _splits(report: Report) -> list[tuple[str, str]]:
    measured = report.measured
    counts = ", ".join(f"{measured.images[split]} {split}" for split in SPLITS)
    catalogue = report.recognized.options.get("catalogue") or {}
    if catalogue.get("splits"):
        how = f"by data/{report.source}/annotations/{catalogue['splits']}, as a hash of the groups leaves a split empty"
    elif not measured.upstream:
        how = f"by a hash of the {'group' if catalogue.get('group_column') else 'photo'}, as {_why_none(report)}"
    else:
        column = catalogue.get("split_column")
        how = f"as your column `{column}` says" if column else "the data's own"
        if measured.shared:
            share = report.recognized.options.get("val_share", 0.1)
            how += f": their one other split than train is the test, and {share:.0%} of train is val"
    result = [("splits", f"photos: {counts}; {how}")]
    if measured.crossing and catalogue.get("group_column"):
        result.append(("CHECK", f"{measured.crossing} of {len(measured.groups)} groups have photos in several splits: "
                       "what is learned of them helps in the test"))  # fmt: skip
    return result


def _why_none(report: Report) -> str:
    refused = [
        f"column `{name}` is no split ({why})" for name, why in report.recognized.refused.items() if "train" in why
    ]
    return "; ".join(refused) or "the data bring none"


def _unused(report: Report) -> list[tuple[str, str]]:
    """Labels without training photos, and labels without test photos."""
    table, result = report.labels, []
    by_label = {
        label: counts
        for label, counts in report.measured.by_label().items()
        if table is None or table.superclass_of[label]
    }
    untaught = [f"{label} {sum(counts.values())}" for label, counts in by_label.items() if not counts["train"]]
    unasked = [label for label, counts in by_label.items() if counts["train"] and not counts["test"]]
    if untaught:
        result.append(("note", f"no training photo, so not learned and not scored: {_some(untaught)}"))
    if unasked:
        result.append(("note", f"no test photo, so learned and not scored: {_some(unasked)}"))
    if len(by_label) == 1:
        result.append(("CHECK", "one label alone: every answer is right. Figures mean something from two labels on"))
    if 0 < report.kept["test"] < LEAST_TEST:
        step = 1 / report.kept["test"]
        result.append(("note", f"{report.kept['test']} test items ask: one more right moves a figure by {step:.0%}"))
    return result


def _boxes(report: Report) -> str:
    if report.detector and report.salient:
        classes = ", ".join(report.detector["superclasses"])
        return (
            "U²-Net-p draws them (`make salient` installs it), half a second a photo; they cut the crops, on a plain "
            f"background. For comparison, a detector of {classes} learns from the sure ones for "
            f"{report.detector['epochs']} epochs"
        )
    if report.detector:
        total = sum(report.measured.boxed.values())
        classes = ", ".join(report.detector["superclasses"])
        return (
            f"{total}: a detector of {classes} is trained for {report.detector['epochs']} epochs; crops are what it "
            "finds, and your own boxes where it finds nothing"
        )
    if report.recognized.boxes:
        return "too few for a detector (each split needs some with a superclass): crops are your boxes"
    own = "Your own boxes (YOLO, VOC, COCO, or a table image,label,x1,y1,x2,y2)"
    if report.labels is None:
        return f"none, so the whole photo is the crop. {own} would add a detector: crops without background"
    return (
        "none, so the whole photo is the crop. With SALIENT=1 U²-Net-p finds the garment on each photo: crops without "
        f"background, and `make match` on worn looks. {own} would add several garments a photo"
    )


def _fitted(report: Report) -> str:
    fitted = report.fitted
    return (
        f"to {report.kept['train']} training items: batches of {fitted['simclr']['batch']} (SimCLR) and "
        f"{fitted['classifier']['batch']} (classifier, {fitted['classifier']['epochs']} epochs), "
        f"encoders simclr, classifier, untrained, imagenet. Reasons: profiles/own.yaml"
    )


def _next(report: Report) -> str:
    source = report.source
    table = f"tables/{source}_labels.csv"
    if report.labels and not any(report.labels.superclass_of.values()):
        return f"give labels a superclass in {table}: without any nothing is learned. Then make repro PROFILE={source}"
    look = f"look at {table}; then " if report.labels else ""
    again = f"; a wrong column: correct profiles/{source}.yaml and run this again" if report.recognized.guesses else ""
    return (
        f"{look}make repro PROFILE={source}{again}. make ingest-report SOURCE={source} tells what became of each file"
    )
