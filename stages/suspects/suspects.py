"""List labels that are probably wrong, of every head and in all splits, each with a suggested label.

Two witnesses judge each label: logistic regressions in folds, and the nearest neighbors of other groups. Neither
learned from the label or from a row of its group (witnesses.py), and both use features of a frozen network that has
seen no label. Confident learning turns their judgments into a list (confident.py).

Reads:  the data set, models/<profile>/encoders/simclr, RELABEL (labels that a person has corrected or confirmed there
        are not suspected again).
Writes: OUT/suspects.csv: for each head the suspects, the most certain first, with the suggested label and the reason;
        OUT/relabel_suggestions.csv: those of all heads as lines for RELABEL, the most certain first;
        OUT/suspects_<head>.jpg: pictures of the first ones. METRICS/accuracy.json: share of each head's labels that the
        classifier out of fold predicts; METRICS/suspected.json: share of labels that is listed.
Params: suspects; runtime.
"""

import argparse
import csv
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field
from threadpoolctl import threadpool_limits

from stages.contracts.images import Fit
from stages.contracts.tables import RELABEL, read_shards, read_table
from stages.core.determinism import device, seed_everything
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.heads import HEADS
from stages.core.params import Section
from stages.networks.backbones.backbones import Backbone, Pooling, with_extra_backbones
from stages.networks.backbones.features import Pictures, embed_pictures, load_weights
from stages.runner.stage import Report, Stage
from stages.suspects.confident import find
from stages.suspects.corrections import correction_of
from stages.suspects.sheet import SuspectCell, contact_sheet
from stages.suspects.witnesses import folds_of, leakage_groups, neighbor_shares, out_of_fold, principal_components

log = logging.getLogger(__name__)

# Measured on the demo (docs/label-errors.md); a factor of three more or less finds about as many wrong labels.
COMPONENTS = 128  # of the features
FOLDS = 5
STRENGTH = 0.003  # C of the logistic regressions
NEIGHBORS = 20
BATCH = 64  # pictures at a time
COLUMNS = [
    "rank", "head", "source", "item_id", "crop_id", "split", "label", "suggestion", "confidence",
    "label_probability", "suggestion_probability", "label_votes", "reason",
]  # fmt: skip


class SuspectsParams(Section):
    """Section ``suspects``: the features that the witnesses see, as in section ``classifier``."""

    image_size: int = Field(gt=0)
    fit: Fit
    pooling: Pooling
    extra_backbones: list[str]


def features(pictures: list[bytes], simclr: Path, params: SuspectsParams) -> np.ndarray:
    """Features float32 [n, d] of encoded pictures by SimCLR's backbone, which has seen no label."""
    backbone = Backbone(read_json(simclr / "encoder.json")["backbone"], "none", params.pooling)
    load_weights(backbone, simclr)
    network = with_extra_backbones(backbone, params.extra_backbones, "packaged").to(device())
    return embed_pictures(network, Pictures(pictures, params.image_size, params.fit, keep=False), BATCH)


def corrected_labels(relabel: Path) -> set[tuple[str, str, str]]:
    """Source, item and column of the labels that a person has corrected or confirmed."""
    with relabel.open(newline="", encoding="utf-8-sig") as stream:
        return {(row["source"], row["item_id"], row["column"]) for row in csv.DictReader(stream)}


def suspects_of(
    head: str, crops: pd.DataFrame, vectors: np.ndarray, groups: np.ndarray
) -> tuple[list[dict[str, Any]], float]:
    """Rows of the table of suspects for one head, and the share of labels that the classifier out of fold predicts.

    Args:
        crops: all crops, sorted by crop_id.
        vectors, groups: of each crop.
    """
    known = crops[head].notna().to_numpy()
    own = crops[known].reset_index(drop=True)
    classes, labels = np.unique(own[head].to_numpy(dtype=str), return_inverse=True)
    folds = folds_of(groups[known], list(own["crop_id"]), FOLDS)
    if len(classes) < 2 or len(np.unique(folds)) < 2:
        return [], 0.0
    probabilities = out_of_fold(vectors[known], labels, folds, STRENGTH)
    votes = neighbor_shares(vectors[known], labels, groups[known], NEIGHBORS)
    rows = [
        {
            "rank": rank,
            "head": head,
            **{name: own.at[suspect.row, name] for name in ("source", "item_id", "crop_id", "split")},
            "label": str(classes[labels[suspect.row]]),
            "suggestion": str(classes[suspect.suggestion]),
            "confidence": suspect.confidence,
            "label_probability": suspect.label_probability,
            "suggestion_probability": suspect.suggestion_probability,
            "label_votes": suspect.votes,
            "reason": suspect.reason,
        }
        for rank, suspect in enumerate(find(labels, probabilities, votes), 1)
    ]
    return rows, float((probabilities.argmax(axis=1) == labels).mean())


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Embed every crop once, judge every head, write."""
    seed_everything(0)
    crops = read_shards(args.dataset).to_pandas().sort_values("crop_id", ignore_index=True)
    items = read_table(args.dataset / "items.parquet", columns=["source", "item_id", "picture"]).to_pandas()
    crops = crops.merge(items, on=["source", "item_id"], how="left", validate="one_to_one")
    raw_features = features(list(crops["bytes"]), args.simclr, params.suspects)
    groups = leakage_groups(crops[["source", "group_id", "cluster", "picture"]].to_dict("records"))
    done, out = corrected_labels(args.relabel), fresh_folder(args.out)
    pictures = dict(zip(crops["crop_id"], crops["bytes"], strict=True))
    table: list[dict[str, Any]] = []
    scores: dict[str, dict[str, float]] = {"accuracy": {}, "suspected": {}}
    sheets = []
    # One thread: with more of them BLAS adds in another order where a machine has fewer cores than threads. This tells
    # all libraries that are loaded by now, scikit-learn's among them.
    with threadpool_limits(1):
        vectors = principal_components(raw_features, COMPONENTS)
        for head in HEADS:
            rows, accuracy = suspects_of(head, crops, vectors, groups)
            rows = [row for row in rows if (row["source"], row["item_id"], head) not in done]
            labeled = int(crops[head].notna().sum())
            if not accuracy:
                continue
            scores["accuracy"][head], scores["suspected"][head] = accuracy, len(rows) / labeled
            log.info(f"suspects: {len(rows)} of {labeled} labels of {head}; {accuracy:.3f} are named out of fold")
            table += rows
            if rows:
                sheets.append(out / f"suspects_{head}.jpg")
                contact_sheet([cell_of(row, pictures) for row in rows]).save(sheets[-1])
    write_csv(out / "suspects.csv", COLUMNS, [[row[name] for name in COLUMNS] for row in table])
    lines = [list(correction_of(row).values()) for row in sorted(table, key=lambda row: -row["confidence"])]
    write_csv(out / "relabel_suggestions.csv", list(RELABEL), lines)
    fresh_folder(args.metrics)
    for name, content in scores.items():
        write_json(args.metrics / f"{name}.json", content)
    return Report(metrics={f"{head}_suspected": share for head, share in scores["suspected"].items()}, pictures=sheets)


def cell_of(row: dict[str, Any], pictures: dict[str, bytes]) -> SuspectCell:
    """A row of the table of suspects as a cell of the contact sheet."""
    of_label, of_suggestion = row["label_probability"], row["suggestion_probability"]
    return SuspectCell(pictures[row["crop_id"]], row["label"], of_label, row["suggestion"], of_suggestion)


STAGE = Stage(main, ["dataset", "simclr", "relabel", "metrics", "out"], {"suspects": ("suspects", SuspectsParams)})
