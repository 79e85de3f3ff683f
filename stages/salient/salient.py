"""Find the garment on the photos of a source by U²-Net-p: its mask, its box, and whether the box is sure.

Reads:  ingested/<source> (shards, objects), labels/<source> (the superclass of each photo).
Writes: shard-*.parquet (schema SALIENT: every photo, with mask and box where the network looked), objects.parquet
        (schema OBJECTS: the boxes of the detector, upstream's and the network's), rejects.parquet, account.json,
        sure.jpg and the names of reasons.jpg: some photos with their boxes.
Params: salient.<source> (all or without_box), detector.<source>.class_column, crops.boxes; the whole sections are read.

`boxes` reads this folder instead of the ingested source. A photo whose box is not sure keeps what it had. A held-out
split that has annotated boxes is scored on these alone, so its other photos get none.

The class of a learned box decides what counts as one garment (two shoes are a pair). Boxes in the shards know no label,
because crops are cut by them and scores are of them.
"""

import argparse
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np

from stages.contracts.boxes import Box, box_of
from stages.contracts.images import pixels
from stages.contracts.ledger import Account
from stages.contracts.tables import (
    FROM_MASK,
    OBJECTS,
    SALIENT,
    iter_shards,
    read_table,
    shard_paths,
    write_rows,
    write_shards,
)
from stages.core.determinism import device, seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder
from stages.core.parallel import in_processes
from stages.crops.params import CropParams
from stages.detection.params import DetectorParams
from stages.networks.detector.detection_sheets import TRUTH, Drawn, Outline, Sheets, color_of, drawn
from stages.runner.progress import track
from stages.runner.stage import Report, Stage
from stages.salient.mask_boxes import MaskBox, box_of_mask
from stages.salient.network import load_network, predict_masks

log = logging.getLogger(__name__)

Which = Literal["without_box", "all"]
SURE = "sure"  # the sheet of boxes that are learned
SHEETS = (SURE, "nothing_salient", "several_salient", "salient_everywhere", "unsure_mask")
COLUMNS = ["image_id", "split", "width", "height", "bytes"]


@dataclass(frozen=True)
class PhotoSelection:
    """Decides which photos of a source get a box or a mask from the network.

    Attributes:
        which: without_box: photos without an annotated box; all: the others, too.
        class_of: image_id -> class of the garment, of photos with one label.
        boxed: image_id -> annotated boxes.
        held: held-out splits with annotated boxes.
        crops: the network's boxes cut the crops, so it sees every photo of a garment.
    """

    which: Which
    class_of: Mapping[str, tuple[str, str]]
    boxed: Mapping[str, list[Box]]
    held: frozenset[str]
    crops: bool = False

    def reason_to_skip(self, image_id: str, split: str) -> str:
        """Why a photo gets no box from the network; empty if it gets one."""
        if split in self.held:
            return f"{split} has annotated boxes: " + ("annotated" if image_id in self.boxed else "no box, not scored")
        if self.which == "without_box" and image_id in self.boxed:
            return "annotated"
        return "" if image_id in self.class_of else "no label of a garment"

    def needs_mask(self, image_id: str, split: str) -> bool:
        """Whether a photo needs a mask: for its box, its crop, or to compare the box with the annotated one."""
        scored = split != "train" and image_id in self.boxed
        return image_id in self.class_of and (self.crops or scored or not self.reason_to_skip(image_id, split))


def classes_of(labels: list[dict[str, Any]], by_superclass: bool) -> dict[str, tuple[str, str]]:
    """image_id -> (class as the detector's class table has it, superclass); photos with several labels are left out.

    Args:
        labels: rows of LABELS.
        by_superclass: the class table is of superclasses; else it is of the labels' own names.
    """
    counts = Counter(row["image_id"] for row in labels)
    return {
        row["image_id"]: (row["superclass"] if by_superclass else row["type"], row["superclass"])
        for row in labels
        if counts[row["image_id"]] == 1
    }


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Predict masks, keep the sure boxes, write."""
    labels = read_table(args.labels / "labels.parquet", columns=["image_id", "superclass", "type"]).to_pylist()
    objects = read_table(args.ingested / "objects.parquet", OBJECTS).to_pylist()
    boxed: dict[str, list[Box]] = {}
    for row in objects:
        boxed.setdefault(row["image_id"], []).append(box_of(row))
    splits = {
        image_id: split
        for shard in iter_shards(args.ingested, ["image_id", "split"])
        for image_id, split in zip(shard["image_id"].to_pylist(), shard["split"].to_pylist(), strict=True)
    }
    held = frozenset(splits[image_id] for image_id in boxed if image_id in splits) - {"train"}
    class_of = classes_of(labels, params.detector.class_column == "superclass")
    selection = PhotoSelection(params.salient, class_of, boxed, held, params.crops.boxes == "salient")
    account = Account(args.source)
    account.note(
        "photos for which the network is not asked",
        Counter(reason for image_id, split in splits.items() if (reason := selection.reason_to_skip(image_id, split))),
    )
    boxes: list[dict[str, Any]] = []
    sheets, out = Sheets(SHEETS), fresh_folder(args.out)
    rows = _rows(args.ingested, selection, account, boxes, sheets)
    write_shards(out, SALIENT, rows, "image_id", len(shard_paths(args.ingested)))
    replaced = {row["image_id"] for row in boxes}
    annotated = [row for row in objects if row["image_id"] not in replaced]
    write_rows(out / "objects.parquet", OBJECTS, sorted(annotated + boxes, key=lambda row: row["object_id"]))
    ledger = account.ledger("salient")
    ledger.kept = len(boxes)
    if not boxes and not annotated:
        raise StageError(
            f"source {args.source}: no box on any of {len(splits)} photos ({'; '.join(account.lines())}). Look at the "
            f"pictures in {out}; take {args.source} out of `salient` and `detectors`."
        )
    account.write(out)
    for line in account.lines():
        log.info(line)
    metrics = {"boxes": len(boxes), "sure_share": len(boxes) / ledger.rows_in if ledger.rows_in else 0.0}
    return Report(metrics=metrics, pictures=sheets.write(out))


def _rows(
    ingested: Path, selection: PhotoSelection, account: Account, boxes: list[dict[str, Any]], sheets: Sheets
) -> Iterator[dict[str, Any]]:
    """Rows of SALIENT; the sure boxes go into ``boxes``, the others into the ledger."""
    ledger = account.ledger("salient")
    for row, mask in _with_masks(ingested, selection):
        image_id, content = row["image_id"], row.pop("bytes")
        if mask is None:
            yield row
            continue
        name, superclass = selection.class_of[image_id]
        free = box_of_mask(mask, row["width"], row["height"], "")
        yield row | {"mask": mask.tobytes(), "sureness": free.sureness, "reason": free.reason or None} | _corners(free)
        if selection.reason_to_skip(image_id, row["split"]):
            continue
        ledger.rows_in += 1
        mask_box = box_of_mask(mask, row["width"], row["height"], superclass)
        if mask_box.reason:
            ledger.reject(image_id, mask_box.reason, f"sureness {mask_box.sureness:.2f}")
        else:
            rest = {"pair_id": None, "style": None}
            boxes.append(
                {"object_id": image_id + FROM_MASK, "image_id": image_id, "class_name": name}
                | _corners(mask_box)
                | rest
            )
        sheets.add(
            [mask_box.reason or SURE], image_id, partial(_cell, image_id, content, mask_box.box, superclass, selection)
        )


def _corners(mask_box: MaskBox) -> dict[str, float]:
    return dict(zip(("x1", "y1", "x2", "y2"), mask_box.box, strict=True)) if mask_box.box else {}


def _with_masks(ingested: Path, selection: PhotoSelection) -> Iterator[tuple[dict[str, Any], np.ndarray | None]]:
    """Each photo with its mask; None if it needs none."""
    paths = shard_paths(ingested)
    # A photo takes less CPU time by one thread than by two (.52 and .57 s); four at a time take twice the memory.
    predicted = in_processes(
        partial(_shard_masks, selection=selection), paths, "python" if device() == "cpu" else "networks"
    )
    shards = zip(iter_shards(ingested, COLUMNS), predicted, strict=True)
    for shard, masks in track(shards, total=len(paths), desc="salient (shards)"):
        for row in shard.to_pylist():
            yield row, masks.get(row["image_id"])


def _shard_masks(path: Path, selection: PhotoSelection) -> dict[str, np.ndarray]:
    """image_id -> mask of the photos of a shard that need one."""
    import torch

    seed_everything(0)
    network, result = load_network(), {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for row in read_table(path, columns=["image_id", "split", "bytes"]).to_pylist():
        if selection.needs_mask(row["image_id"], row["split"]):
            result[row["image_id"]] = predict_masks(network, [row["bytes"]])[0]
    torch.set_num_threads(threads)
    return result


def _cell(image_id: str, content: bytes, box: Box | None, superclass: str, selection: PhotoSelection) -> Drawn:
    outlines = [Outline(known, TRUTH, width=1) for known in selection.boxed.get(image_id, [])]
    outlines += [Outline(box, color_of(superclass), superclass)] if box else []
    return drawn(pixels(content), outlines, [image_id])


STAGE = Stage(
    main,
    ["source", "ingested", "labels", "out"],
    {
        "salient": ("salient.{source}", Which),
        "detector": ("detector.{source}", DetectorParams),
        "crops": ("crops", CropParams),
    },
)
