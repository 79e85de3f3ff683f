"""Box table of one detector: upstream classes merged into superclasses, boxes normalized for YOLO.

Reads:  objects.parquet and shards of ingested/<detector>, or of salient/<detector> where the salient network draws
        boxes; tables/superclasses.csv and the class table that params name.
Writes: boxes.parquet (schema BOXES), rejects.parquet, account.json.
Params: detector.<detector>.{classes_table, class_column, superclasses}; the whole section is read.
"""

import argparse
import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from stages.contracts.boxes import to_centers
from stages.contracts.ledger import Account
from stages.contracts.tables import BOXES, FROM_MASK, OBJECTS, read_shards, read_table, write_rows
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_csv
from stages.core.table_rows import read_rows
from stages.detection.params import DetectorParams
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)


def read_classes(path: Path, column: str) -> dict[str, str]:
    """Upstream class name -> superclass; an empty superclass means that it is no garment.

    Raises:
        StageError: the table or one of its columns is missing.
    """
    if not path.is_file():
        raise StageError(f"{path}: no such class table. Correct `classes_table` in params.yaml.")
    try:
        rows = [row for _, row in read_csv(path, [])]
    except StageError:  # no UTF-8, such as a label table that Excel saved
        rows = [row for _, row in read_rows(path).rows]
    for name in (column, "superclass"):
        if name not in rows[0]:
            raise StageError(f"{path}: no column {name!r}; it has {shown(rows[0])}. Correct `class_column`.")
    return {row[column]: row["superclass"] for row in rows}


def superclass_ids(path: Path) -> dict[str, int]:
    """Superclass -> joint id."""
    return {row["superclass"]: int(row["id"]) for _, row in read_csv(path, ["superclass", "id"])}


def normalize(objects: pd.DataFrame) -> pd.DataFrame:
    """Pixel corners to center and size as shares of width and height.

    Args:
        objects: columns x1, y1, x2, y2, width, height.

    Returns:
        columns cx, cy, w, h, each in [0, 1].
    """
    sides = objects[["width", "height"]].to_numpy(float)
    shares = to_centers(objects[["x1", "y1", "x2", "y2"]].to_numpy(float)) / np.tile(sides, 2)
    return pd.DataFrame(shares, columns=["cx", "cy", "w", "h"])


def box_table(
    objects: pd.DataFrame, images: pd.DataFrame, classes: dict[str, str], ids: dict[str, int], account: Account
) -> pd.DataFrame:
    """Join objects with their images, merge classes, normalize boxes; sorted by object_id.

    Raises:
        StageError: a class name is not in ``classes``, or a superclass not in ``ids``.
    """
    unknown = set(objects["class_name"]) - set(classes)
    if unknown:
        raise StageError(
            f"{account.source}: the data has classes that the class table does not know: {shown(unknown)}. "
            f"Known: {shown(classes)}. Add a line for each to the table that `classes_table` names."
        )
    joined = objects.merge(images, on="image_id", how="inner", validate="many_to_one")
    joined["superclass"] = joined["class_name"].map(classes)
    ledger = account.ledger("boxes")
    ledger.rows_in = len(objects)
    for row in joined[joined["superclass"] == ""].itertuples():
        ledger.reject(row.object_id, "not_a_garment", row.class_name)
    joined = joined[joined["superclass"] != ""].reset_index(drop=True)
    strange = set(joined["superclass"]) - set(ids)
    if strange:
        raise StageError(f"class table: superclass {shown(strange)} is not in superclasses.csv ({shown(ids)}).")
    ledger.kept = len(joined)
    joined["class_id"] = joined["superclass"].map(ids)
    table = pd.concat([joined[["object_id", "image_id", "split", "superclass", "class_id"]], normalize(joined)], axis=1)
    return table.sort_values("object_id", ignore_index=True)


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Read, merge, normalize, write."""
    options: DetectorParams = params.detector
    account = Account(args.detector)
    account.carry(args.ingested, "salient")  # of the salient stage, where it drew the boxes
    objects = read_table(args.ingested / "objects.parquet", OBJECTS).to_pandas()
    images = read_shards(args.ingested, ["image_id", "split", "width", "height"]).to_pandas()
    if objects.empty:
        raise StageError(
            f"detector {args.detector}: {args.ingested} has {len(images)} images but no boxes. Expected annotated "
            f"objects; give its source boxes, let U²-Net-p draw them (`salient: {{{args.detector}: all}}`, "
            f"docs/photos.md), or take {args.detector} out of `detectors`."
        )
    classes = read_classes(args.tables / options.classes_table, options.class_column)
    table = box_table(objects, images, classes, superclass_ids(args.tables / "superclasses.csv"), account)
    extra = set(table["superclass"]) - set(options.superclasses)
    if extra:
        raise StageError(
            f"detector {args.detector}: boxes of superclass {shown(extra)} but `detector.{args.detector}.superclasses` "
            f"lists {shown(options.superclasses)}. Add them there, or empty their superclass in the class table."
        )
    for split in ("train", "val", "test"):
        if not (table["split"] == split).any():
            raise StageError(f"detector {args.detector}: no boxes in split {split}; found {len(table)} boxes in all.")
    out = fresh_folder(args.out)
    write_rows(out / "boxes.parquet", BOXES, table.to_dict("records"))
    per_class = table.groupby(["split", "superclass"]).size()
    account.note("boxes per split and class", {f"{split} {name}": int(n) for (split, name), n in per_class.items()})
    from_mask = table[table["object_id"].str.endswith(FROM_MASK)].groupby("split").size()
    if len(from_mask):
        counts = {str(split): int(count) for split, count in from_mask.items()}
        account.note("boxes that the salient network drew", counts)
        if held := [split for split in ("val", "test") if split in counts]:
            log.warning(
                f"{args.detector}: U²-Net-p drew the boxes of {shown(held)}, so scores there say how far the detector "
                "agrees with it."
            )
    account.write(out)
    for line in account.lines():
        log.info(line)
    return Report(metrics={"boxes": len(table)})


STAGE = Stage(main, ["detector", "ingested", "tables", "out"], {"detector": ("detector.{detector}", DetectorParams)})
