"""Check cleaning and matching against the demo's ground truth, which no stage reads.

Usage: python -m stages.run audit  (`make audit`; after `make repro` of the demo profile)

For each label source it prints, by head, the share of correct labels in upstream's annotations and after the label
policies, and the number of planted label errors that remain; and by superclass the share of crops that show the garment
of their label. Planted label errors are counted separately, because no policy can detect them. Then it prints how much
of system B's attention is on the garment (attention_maps.py), what the suggestions of stage `suspects` are worth
(label_errors.py), and what the suspects of stage `leakage` are worth (item_leaks.py).
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.contracts.boxes import Box, box_array, box_of, iou
from stages.contracts.tables import LABELS, OUTCOMES, read_table
from stages.core.errors import StageError
from stages.core.heads import HEADS, heads_of
from stages.core.params import load_params, lookup, section
from stages.demo.truth import NOISY_HEADS, TRUTH
from stages.labels.merging import LabelTables, read_label_tables
from stages.leakage.same_item import LeakageParams
from stages.report import attention_maps, item_leaks, label_errors
from stages.runner.stage import new_parser, one_message

# A box shows a garment if it overlaps it more than any other garment, and by at least this IoU. A second share counts
# well-fitting boxes, by COCO's smallest IoU of a hit.
LEAST_IOU, GOOD_IOU = 0.25, 0.5
DRAWN = tuple(head for head in HEADS if head in TRUTH.names)  # the demo shows no other


@dataclass(frozen=True)
class Share:
    """``right`` of ``rows``, as a share."""

    right: int
    rows: int

    @property
    def value(self) -> float:
        """The share; 1 without rows."""
        return self.right / self.rows if self.rows else 1.0

    def __str__(self) -> str:
        return f"{self.value:.1%} of {self.rows}"


def label_shares(labels: list[dict[str, Any]], truth: dict[str, dict[str, Any]]) -> dict[str, Share]:
    """Head -> share of correct labels, of the known ones without a planted error.

    Args:
        labels: rows with item_id and a column for each head, null = unknown.
        truth: item -> its garment, with a column for each head.
    """
    shares = {}
    for head in DRAWN:
        known = [row for row in labels if row[head] is not None and not swapped(truth[row["item_id"]], head)]
        right = sum(row[head] == truth[row["item_id"]][head] for row in known)
        shares[head] = Share(right, len(known))
    return shares


def swapped(garment: dict[str, Any], head: str) -> bool:
    """Whether the demo planted an error in the label of a garment."""
    return head in NOISY_HEADS and garment[f"{head}_swapped"]


def planted_errors(labels: list[dict[str, Any]], truth: dict[str, dict[str, Any]]) -> dict[str, set[str]]:
    """Head -> items whose label is still wrong by a planted error, which a finder of label errors should find.

    Args:
        labels: as in ``label_shares``.
        truth: as in ``label_shares``.
    """
    return {
        head: {
            row["item_id"]
            for row in labels
            if swapped(truth[row["item_id"]], head) and row[head] not in (None, truth[row["item_id"]][head])
        }
        for head in NOISY_HEADS
    }


def shown_garment(box: Box, garments: list[dict[str, Any]], least: float) -> int | None:
    """Number of the garment whose visible box overlaps ``box`` most; None when the IoU is below ``least``."""
    if not garments:
        return None
    overlaps = iou(box_array([box]), box_array(map(box_of, garments)))[0]
    best = int(overlaps.argmax())
    return best if overlaps[best] >= least else None


def crop_shares(
    outcomes: list[dict[str, Any]], image_of: dict[str, str], garments: list[dict[str, Any]], least: float = LEAST_IOU
) -> dict[str, Share]:
    """Superclass (and ``all``) -> share of matched crops that show their own garment (``shown_garment``).

    Args:
        outcomes: rows of OUTCOMES.
        image_of: item -> image.
        garments: truth rows; ``item`` is the labeled item of a garment.
        least: smallest IoU at which a box shows a garment.
    """
    by_image = defaultdict(list)
    for garment in garments:
        by_image[garment["image_id"]].append(garment)
    right: Counter = Counter()
    rows: Counter = Counter()
    for row in outcomes:
        if row["outcome"] != "matched":
            continue
        boxes = by_image[image_of[row["item_id"]]]
        own = next((number for number, garment in enumerate(boxes) if garment["item"] == row["item_id"]), None)
        hit = own is not None and shown_garment(box_of(row), boxes, least) == own
        for key in ("all", boxes[own]["superclass"] if own is not None else "not in the picture"):
            rows[key] += 1
            right[key] += hit
    return {key: Share(right[key], rows[key]) for key in sorted(rows)}


def before_shares(
    source: str, items: pd.DataFrame, tables: LabelTables, truth: dict[str, dict[str, Any]]
) -> dict[str, Share]:
    """Head -> share of correct annotations by upstream, of ``items`` without a planted error.

    This is before any policy. Values are translated name by name; a row without a garment, or with a value that is no
    class, is wrong. Every item of DeepFashion-MultiModal gets the label of the upper layer, as without a policy.

    Args:
        source: fashion_products or deepfashion_mm.
        items: upstream's rows from ingest, all of them or those that cleaning keeps.
        tables: the merge tables.
        truth: item -> its garment.
    """
    layer = "_upper" if source == "deepfashion_mm" else ""
    named = {
        head.name: tables.merged(head.name, items[head.column + layer])
        for head in heads_of(source)
        if head.name in DRAWN
    }
    none = dict.fromkeys([*DRAWN, *(f"{head}_swapped" for head in NOISY_HEADS)])
    shares = {}
    for head, values in named.items():
        rows = zip(items["item_id"], values.astype(object).where(values.notna(), None), strict=True)
        pairs = [(value, truth.get(item, none)) for item, value in rows]
        sound = [value is not None and value == garment[head] for value, garment in pairs if not swapped(garment, head)]
        shares[head] = Share(sum(sound), len(sound))
    return shares


def audit(data: Path, tables: LabelTables, sources: list[str]) -> dict[str, dict[str, dict[str, Share]]]:
    """source -> shares ``before`` and ``after`` (by head), ``before, kept`` (of the kept rows), ``planted`` (by noisy
    head, planted errors among the kept labels), ``crops`` (by superclass).

    Args:
        data: the profile's data folder.
        tables: the merge tables.
        sources: label sources that the demo has drawn.

    Raises:
        StageError: the ground truth or a stage's output is missing.
    """
    result = {}
    for source in sources:
        path = data / "truth" / source / "garments.parquet"
        if not path.is_file():
            raise StageError(f"{path}: no ground truth. Only the demo has one: `make use PROFILE=demo && make repro`.")
        garments = read_table(path).to_pylist()
        truth = {row["item"]: row for row in garments if row["item"] is not None}
        labels = read_table(data / "labels" / source / "labels.parquet", LABELS).to_pylist()
        outcomes = read_table(data / "crops" / source / "outcomes.parquet", OUTCOMES).to_pylist()
        items = read_table(data / "ingested" / source / "items.parquet").to_pandas()
        image_of = {row["item_id"]: row["image_id"] for row in labels}
        kept = set(image_of)
        result[source] = {
            "before": before_shares(source, items, tables, truth),
            "before, kept": before_shares(source, items[items["item_id"].isin(kept)], tables, truth),
            "after": label_shares(labels, truth),
            "planted": {
                head: Share(len(items_found), sum(row[head] is not None for row in labels))
                for head, items_found in planted_errors(labels, truth).items()
            },
            "crops": crop_shares(outcomes, image_of, garments),
            "crops, good fit": crop_shares(outcomes, image_of, garments, GOOD_IOU),
        }
    return result


def as_markdown(result: dict[str, dict[str, dict[str, Share]]]) -> str:
    """The audit as one Markdown table for the labels and one for the crops."""
    lines = [
        "Planted errors are left out, and counted in the last column:",
        "",
        "| source | head | right before cleaning | of the kept rows | right after | planted errors that remain |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for source, by_head in result.items():
        for head, share in by_head["after"].items():
            if share.rows:
                before, kept = (by_head[name].get(head, "in the name") for name in ("before", "before, kept"))
                planted = by_head["planted"].get(head, "none")
                lines.append(f"| {source} | {head} | {before} | {kept} | {share} | {planted} |")
    lines += [
        "",
        f"| source | garment | crops on the right garment | and with IoU of {GOOD_IOU} or more |",
        "| --- | --- | --- | --- |",
    ]
    for source, by_head in result.items():
        fits = by_head["crops, good fit"]
        lines += [f"| {source} | {name} | {share} | {fits[name]} |" for name, share in by_head["crops"].items()]
    return "\n".join(lines)


def main() -> None:
    """Audit the outputs of the active profile, and print the result."""
    new_parser(__doc__).parse_args()
    with one_message():
        content = load_params()
        sources = [name for name in lookup(content, "label_sources") if name in lookup(content, "demo_sources")]
        if not sources:
            raise StageError("params.yaml: no label source is drawn (`demo_sources`). `make use PROFILE=demo` first.")
        data = Path("data") / str(lookup(content, "profile"))
        print(as_markdown(audit(data, read_label_tables(Path("tables")), sources)))
        if (encoder := Path("models") / data.name / "encoders" / "attention").is_dir():
            print("\n" + attention_maps.as_markdown(*attention_maps.measure(data, encoder, sources, content["crops"])))
        if (data / "suspects").is_dir():
            print("\n" + label_errors.as_markdown(label_errors.measure(data, sources)))
        options = section(LeakageParams, "leakage", content)
        pairs = item_leaks.measure(data, lookup(content, "demo_sources"), lookup(content, "benchmarks"), options)
        if pairs:
            print("\n" + item_leaks.as_markdown(pairs, options.cosine))
