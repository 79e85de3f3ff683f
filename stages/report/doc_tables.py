"""Tables of README.md and docs/ that come from metrics/ of the demo, and of the profile photos (`make docs`).

Usage: python -m stages.run doc_tables

A page says where a table belongs: between the lines ``<!-- begin NAME ... -->`` and ``<!-- end NAME -->``.

Reads:  metrics/demo: detector/, classifier/, retrieval/, seeds.json; metrics/photos/seeds.json.
Writes: the tables of the pages in ``PAGES``; the rest of each page stays as it is.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json
from stages.report.classifier_page import markdown
from stages.report.key_metrics import read_metrics
from stages.report.summary import as_markdown, key_metric_rows
from stages.retrieval.catalogue import LEADING, Place, shown_at
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

FOLDER = Path("metrics/demo")
FOLDERS = {"docs/photos.md": Path("metrics/photos")}  # of pages about another profile
REFERENCES = ("imagenet", "untrained", "chance")  # last rows of every table of encoders
SEED_ROWS = ("detector/", "classifier/", "retrieval/")
SEED_COLUMNS = ("what", "metric", "mean ± deviation", "min", "max", "baseline")
SEED_BENCHMARKS = ("wardrobe", "inshop")
Lines = list[str]


def number_table(folder: Path) -> Lines:
    """The numbers that `make repro` ends with."""
    return as_markdown(key_metric_rows(read_metrics(folder))).split("\n")


def detector_table(folder: Path) -> Lines:
    """mAP50 and mAP50-95 of each detector, and mAP50 of a constant box."""
    scores = {path.stem: read_json(path) for path in sorted((folder / "detector").glob("*.json"))}
    keys = ("map50", "map50_95", "constant_box")
    rows = [[name, *(f"{own[key]:.3f}" for key in keys)] for name, own in scores.items()]
    return markdown(["detector", "mAP50", "mAP50-95", "mAP50 of a constant box"], rows)


def head_table(folder: Path) -> Lines:
    """Accuracy of each head and of its two baselines."""
    accuracy, *baselines = (
        read_json(folder / "classifier" / f"{name}.json") for name in ("accuracy", "majority", "given_class")
    )
    rows = [[head, f"{value:.3f}", *(_cell(own.get(head)) for own in baselines)] for head, value in accuracy.items()]
    return markdown(["head", "accuracy", "majority", "given class"], rows)


def search_table(folder: Path, encoders: Sequence[str]) -> Lines:
    """hit@1 of some encoders and of the references on every benchmark: garments first, then labels.

    Encoders without scores are left out.
    """
    scores: dict[str, dict[str, Any]] = {}
    for kind in ("retrieval", "retrieval/labels"):
        for path in sorted((folder / kind).glob("*.json")):
            scores.setdefault(path.stem, {}).update(read_json(path))
    benchmarks = list(dict.fromkeys(name for own in scores.values() for name in own))
    rows = [
        [name, *(_cell(scores[name].get(benchmark, {}).get(LEADING.label)) for benchmark in benchmarks)]
        for name in dict.fromkeys((*encoders, *REFERENCES))
        if name in scores
    ]
    return markdown(["encoder", *benchmarks], rows)


def seed_table(folder: Path) -> Lines:
    """Mean and spread over seeds: detectors' mAP50, heads' accuracy, hit@1 on ``SEED_BENCHMARKS``."""
    rows = []
    for name, row in read_json(folder / "seeds.json")["rows"].items():
        what, _, metric = name.partition(" ")
        benchmark = what.rpartition("/")[2]
        shown = metric in ("mAP50", "accuracy") or (metric == LEADING.label and benchmark in SEED_BENCHMARKS)
        if what.startswith(SEED_ROWS) and shown:
            baseline = "" if row["baseline"] is None else f"{row['baseline']:.3f} {row['baseline_name']}"
            rows.append([what, metric, *_spread(row), baseline])
    return markdown(SEED_COLUMNS, rows)


def photo_table(folder: Path) -> Lines:
    """Mean and spread over seeds of the profile photos: both kinds of boxes, the classifier, three encoders."""
    content = read_json(folder / "seeds.json")
    claims, numbers = content["rows"], content["metrics"]
    constant = f"{numbers['detector/photos']['constant_box']['mean']:.3f} constant box"
    rows = [
        [what, metric, *_spread(numbers[f"{kind}/photos"][key]), constant if key == "map50" else ""]
        for kind, what in (("salient", "salient box, classifier's group"), ("detector", "trained detector"))
        for metric, key in (("mAP50", "map50"), ("mAP50-95", "map50_95"))
    ]
    named = {
        "classifier/type accuracy": ("classifier", "accuracy of the type", "majority"),
        "classifier/type_group accuracy": ("classifier", "accuracy of the group", "majority"),
    }
    for encoder, what in (
        ("classifier", "search by the classifier"),
        ("imagenet", "search by ImageNet's features"),
        ("untrained", "search by random weights"),
    ):
        labels = [measure.label for measure in shown_at(Place.SEEDS)]
        named |= {f"retrieval/{encoder}/photos {label}": (what, label, "chance") for label in labels}
    for name, (what, metric, baseline) in named.items():
        rows.append([what, metric, *_spread(claims[name]), f"{claims[name]['baseline']:.3f} {baseline}"])
    return markdown(SEED_COLUMNS, rows)


def _spread(row: Mapping[str, float]) -> Lines:
    return [f"{row['mean']:.3f} ± {row['deviation']:.3f}", f"{row['min']:.3f}", f"{row['max']:.3f}"]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _search(*encoders: str) -> Callable[[Path], Lines]:
    return lambda folder: search_table(folder, encoders)


# Page -> name of a table -> what makes its lines from metrics/<profile>.
PAGES: Mapping[str, Mapping[str, Callable[[Path], Lines]]] = {
    "README.md": {"numbers": number_table},
    "docs/experiments.md": {"seeds": seed_table},
    "docs/photos.md": {"reaches": photo_table},
    "docs/systems/modular.md": {
        "detectors": detector_table,
        "heads": head_table,
        "search": _search("classifier", "simclr"),
    },
    "docs/systems/attention.md": {"search": _search("attention")},
    "docs/systems/similarity.md": {"search": _search("ensemble", "siamese")},
    "docs/systems/fir.md": {"search": _search("fir_oc_is", "fir_is")},
}


def with_table(text: str, name: str, table: Sequence[str]) -> str:
    """The text of a page with the lines of a table between the marks of this name.

    Raises:
        StageError: when the page does not have exactly one such place.
    """
    place = re.compile(rf"^(<!-- begin {name}\b[^\n]*-->\n).*?^(<!-- end {name} -->)$", re.MULTILINE | re.DOTALL)
    content = "\n".join(table) + "\n"
    filled, count = place.subn(lambda match: match[1] + content + match[2], text)
    if count != 1:
        raise StageError(
            f"{count} places for the table {name!r}, expected one: a line `<!-- begin {name} -->` and a line "
            f"`<!-- end {name} -->` after it."
        )
    return filled


def filled(root: Path, page: str, folder: Path) -> str:
    """The text of a page with all of its tables made from the metrics in ``folder``.

    Raises:
        StageError: when the page lacks the place of a table.
    """
    text = (root / page).read_text(encoding="utf-8")
    for name, table in PAGES[page].items():
        try:
            text = with_table(text, name, table(folder))
        except StageError as error:
            raise StageError(f"{page}: {error}") from None
    return text


def main() -> None:
    """The command."""
    new_parser(__doc__).parse_args()
    with one_message():
        for page in PAGES:
            Path(page).write_text(filled(Path(), page, FOLDERS.get(page, FOLDER)), encoding="utf-8")
            log.info(page)
