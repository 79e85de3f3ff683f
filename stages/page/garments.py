"""Parts of the report about pictures with boxes: what cleaning rejected, matching decided and detectors found."""

from collections.abc import Iterable
from typing import Any

from stages.contracts.ledger import REASONS
from stages.page.lookup import CORNERS, STAGES, Profile, Row, named_by, pick
from stages.page.pictures import Pictures

EXAMPLES, DETECTED = 6, 8  # rows of a reason or outcome; test images of a detector
IN_CELL, IN_MATRIX = 8, 400  # pictures of a cell of a confusion matrix, and of all its cells
OUTCOMES = {
    "matched": "a detection agrees with the label and cuts the crop (solid)",
    "several": "several detections agree with the label; one of them cuts the crop (solid), or none",
    "taken": "every agreeing detection is the box of another item of the same photo",
    "mismatch": "detections, but none agrees with the label",
    "no_detection": "no detector found anything above the threshold",
    "whole_image": "no detection, so the whole image is the crop",
    "unusable_crop": "the crop was too small",
}
BACKGROUND = "background"


def photo(profile: Profile, pictures: Pictures, source: str, image_id: str) -> Row | None:
    """A photo to draw boxes on: ``key``, ``w``, ``h``; None if ingest rejected the image."""
    image = profile.images(source).get(image_id)
    if image is None:
        return None
    path = profile.data / "ingested" / source
    key = pictures.ask(f"photo:{source}:{image_id}", path, "image_id", image_id, photo=True)
    return {"key": key, "w": image["width"], "h": image["height"], "row": f"{source}:{image_id}", "boxes": []}


def box(row: Row, kind: str, text: str, prefix: str = "") -> Row:
    """A box of a photo: its place and kind (right, wrong, missed, rival), and what is written below the photo."""
    x1, y1, x2, y2 = (row[f"{prefix}{side}"] for side in CORNERS)
    sign = {"right": "✓", "wrong": "✗", "missed": "…", "rival": "·"}[kind]
    place = {"x": round(x1, 1), "y": round(y1, 1), "w": round(x2 - x1, 1), "h": round(y2 - y1, 1)}
    return {**place, "kind": kind, "text": f"{sign} {text}"}


def rejected(profile: Profile, pictures: Pictures) -> list[Row]:
    """For each reject reason: its meaning, the number of rows by table, and examples, with a picture if any."""
    by_reason: dict[str, list[Row]] = {}
    for stage in STAGES:
        for source in profile.accounts.get(stage, {}):
            for row in profile.rows(stage, source, "rejects.parquet"):
                by_reason.setdefault(row["reason"], []).append({"stage": stage, **row})
    result = []
    for reason in (name for name in REASONS if name in by_reason):
        rows = by_reason[reason]
        counts: dict[str, int] = {}
        for row in rows:
            place = f"{row['stage']} {row['source']}, {row['table']}"
            counts[place] = counts.get(place, 0) + 1
        examples = []
        for row in pick(rows, lambda row: f"{row['source']}:{row['key']}", EXAMPLES):
            image_id = _image_of(profile, row)
            shown = photo(profile, pictures, row["source"], image_id) if image_id else None
            examples.append({**{name: row[name] for name in ("source", "key", "detail")}, "photo": shown})
        result.append({
            "reason": reason, "means": REASONS[reason], "rows": len(rows), "counts": counts, "examples": examples,
        })  # fmt: skip
    return result


def _image_of(profile: Profile, row: Row) -> str | None:
    """The kept image that a rejected row is about, or that it repeats."""
    source = row["source"]
    for table in ("labels.parquet", "items.parquet"):
        path = ("labels" if table == "labels.parquet" else "ingested", source, table)
        if item := profile.by("item_id", *path).get(row["key"]):
            return item["image_id"]
    images = profile.images(source)
    names = [*sorted(named_by(row["key"]), key=len, reverse=True), *sorted(named_by(row["detail"] or ""), reverse=True)]
    return next((name for name in names if name in images), None)


def outcomes(profile: Profile, pictures: Pictures) -> list[Row]:
    """For each source and outcome of matching: the number of items, and examples with every box."""
    result = []
    for source in profile.labeled:
        own = profile.outcomes(source)
        labels = profile.labels(source)
        groups: dict[str, list[Row]] = {}
        for row in own.values():
            groups.setdefault(row["outcome"], []).append(row)
            if row["outcome"] == "matched" and row["agreeing"] > 1:
                groups.setdefault("several", []).append(row)
        for outcome in (name for name in OUTCOMES if name in groups):
            examples = []
            for row in pick(groups[outcome], lambda row: row["item_id"], EXAMPLES):
                label = labels[row["item_id"]]
                shown = photo(profile, pictures, source, label["image_id"])
                if shown is None:
                    continue
                shown["row"] = f"{source}:{row['item_id']}"
                shown["boxes"] = _match_boxes(profile, source, label, row)
                kind = f", {label['type']}" if label["type"] else ""
                examples.append(
                    {"title": row["item_id"], "label": f"label {label['superclass']}{kind}", "photo": shown}
                )
            result.append({
                "source": source, "outcome": outcome, "means": OUTCOMES[outcome], "rows": len(groups[outcome]),
                "all": len(own), "examples": examples,
            })  # fmt: skip
    return result


def _match_boxes(profile: Profile, source: str, label: Row, outcome: Row) -> list[Row]:
    boxes = []
    for row in profile.detections(source, label["image_id"]):
        text = f"{row['superclass']} {row['confidence']:.2f}"
        taken = row["detector"] == outcome["detector"] and all(row[side] == outcome[side] for side in CORNERS)
        agrees = row["superclass"] in (label["agrees"] or [])
        boxes.append(box(row, "right" if taken else "rival", text + (", agrees" if agrees and not taken else "")))
    return boxes


def detections(profile: Profile, pictures: Pictures) -> list[Row]:
    """For each detector: some test images with right and wrong detections, and missed boxes."""
    result = []
    for name, rows in profile.grouped("detector", "report", "detector", "boxes.parquet").items():
        by_image: dict[str, list[Row]] = {}
        for row in rows:
            by_image.setdefault(row["image_id"], []).append(row)
        chosen = pick(({"image_id": entry} for entry in by_image), lambda row: row["image_id"], DETECTED)
        examples = []
        for entry in chosen:
            shown = photo(profile, pictures, name, entry["image_id"])
            if shown:
                shown["boxes"] = [scored_box(row) for row in by_image[entry["image_id"]]]
                examples.append({"title": entry["image_id"], "photo": shown})
        result.append({"detector": name, "images": len(by_image), "examples": examples})
    return result


def scored_box(row: Row) -> Row:
    """A row of SCORED_BOXES: found and right, found and wrong, or missed."""
    if row["superclass"] == BACKGROUND:
        return box(row, "missed", f"missed {row['actual']}", "actual_")
    caption = f"{row['superclass']} {row['confidence']:.2f}"
    if row["superclass"] == row["actual"]:
        return box(row, "right", caption)
    is_what = "a false alarm" if row["actual"] == BACKGROUND else f"is {row['actual']}"
    return box(row, "wrong", f"{caption}, {is_what}")


def matrix(
    name: str, rows: Iterable[tuple[str, str, str, str]], cells: dict[str, list[list[str]]], most: int = IN_MATRIX
) -> dict[str, Any]:
    """A confusion matrix of (actual, predicted, key, text); a cell's first pictures by hash of their key.

    The keys of the pictures go into ``cells`` under the panel's name and the cell's place; the caller asks for them.
    All cells together have ``most`` pictures; if there are more cells, only those with the largest counts have one.
    """
    counts: dict[tuple[str, str], list[Row]] = {}
    for actual, predicted, key, text in rows:
        counts.setdefault((actual, predicted), []).append({"key": key, "text": text})
    classes = sorted({entry for pair in counts for entry in pair}, key=lambda entry: (entry == BACKGROUND, entry))
    each = max(1, min(IN_CELL, most // max(1, len(counts))))
    opened = set(sorted(counts, key=lambda pair: (-len(counts[pair]), pair))[:most])
    totals = {entry: sum(len(own) for (actual, _), own in counts.items() if actual == entry) for entry in classes}
    lines = []
    for row, actual in enumerate(classes):
        line: list[Row | None] = []
        for column, predicted in enumerate(classes):
            own = counts.get((actual, predicted))
            if not own:
                line.append(None)
                continue
            cell = f"{name}|{row}|{column}"
            cells[cell] = [
                [entry["key"], entry["text"]]
                for entry in pick(own if (actual, predicted) in opened else [], lambda entry: entry["key"], each)
            ]
            share = len(own) / totals[actual]
            line.append({
                "cell": cell, "n": len(own), "share": round(share, 3), "diag": actual == predicted,
                "text": f"{actual} taken for {predicted}: {len(own)} of {totals[actual]} ({share:.0%})",
            })  # fmt: skip
        lines.append({"name": actual, "cells": line})
    return {"name": name, "classes": classes, "lines": lines}
