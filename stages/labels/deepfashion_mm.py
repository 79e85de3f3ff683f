"""DeepFashion-MultiModal: gender, type, person and view from file names, fabric and pattern by the layer policy."""

from collections import Counter

import pandas as pd

from stages.contracts.ledger import Account
from stages.core.errors import StageError, shown
from stages.labels.deepfashion_names import EXPECTED, GENDERS, parse_names
from stages.labels.layers import drop_photos, pick_layers, shows_one_of_each
from stages.labels.merge_tables import LAYERS, LabelTables, split_names
from stages.labels.merging import decode, merge
from stages.labels.params import LabelParams
from stages.labels.shape import parse_shapes

HEADS = ("fabric", "pattern")
COLUMNS = (*(f"{head}_{layer}" for head in HEADS for layer in LAYERS), "shape")


def columns(params: LabelParams, source: str) -> tuple[str, ...]:
    """Upstream's columns that the policy reads."""
    return COLUMNS


def upstream_values(items: pd.DataFrame, tables: LabelTables, params: LabelParams, source: str) -> dict[str, pd.Series]:
    """Head -> upstream's values: gender and type from the names, fabric and pattern of all three layers."""
    names = parse_names(items["image_id"])
    values = {"gender": names["gender"], "type": names["type"]}
    for head, table in (("fabric", tables.fabrics), ("pattern", tables.patterns)):
        codes = pd.concat([items[f"{head}_{layer}"] for layer in LAYERS], ignore_index=True)
        values[head] = decode(codes, table, head)
    return values


def label(items: pd.DataFrame, tables: LabelTables, params: LabelParams, account: Account) -> pd.DataFrame:
    """The labels of the items that stay; the others are put on record in ``account``.

    Args:
        items: one file a row: item_id, image_id (the file's stem), the annotation's codes, and split and cluster of
            its image.
    """
    items = pd.concat([items, parse_names(items["image_id"]).add_prefix("name_")], axis="columns")
    items = _reject_bad_names(items, account)
    _check_types(items["name_type"], tables.deepfashion_types)
    shapes = parse_shapes(items.set_index("item_id")["shape"])
    account.note("shape", {"annotated": len(shapes), "missing": len(items) - len(shapes)})

    by_type = tables.deepfashion_types.set_index("type")
    items["layer"] = merge(items["name_type"], by_type["layer"].to_dict())
    items = _take_layers(items, tables, account)

    agreeing = [split_names(by_type["agreeing_detections"][name]) for name in items["name_type"]]
    return pd.DataFrame(
        {
            "item_id": items["item_id"],
            "image_id": items["image_id"],
            "photo": items["name_photo"],
            "split": items["split"],
            "group_id": items["name_person"],
            "cluster": items["cluster"],
            "instance": items["name_instance"],
            "colorway": items["name_n1"],
            "view": items["name_pos"],
            "superclass": [names[0] for names in agreeing],
            "agrees": agreeing,
            "gender": merge(items["name_gender"], GENDERS),
            "type": merge(items["name_type"], by_type["merged_type"].to_dict()),
            "fabric": items["fabric"],
            "pattern": items["pattern"],
        }
    )


def _reject_bad_names(items: pd.DataFrame, account: Account) -> pd.DataFrame:
    bad = items["name_gender"].isna()
    for item_id in items.loc[bad, "item_id"]:
        account.ledger("items").reject(item_id, "bad_name", f"expected {EXPECTED}")
    return items[~bad].copy()


def _check_types(types: pd.Series, table: pd.DataFrame) -> None:
    unlisted = set(types) - set(table["type"])
    if unlisted:
        raise StageError(
            f"DeepFashion type {shown(unlisted)} in the file names is not in tables/deepfashion_types.csv, which has: "
            f"{shown(table['type'], 20)}. Add a line with its layer, merged type and agreeing detections."
        )


def _take_layers(items: pd.DataFrame, tables: LabelTables, account: Account) -> pd.DataFrame:
    """Columns fabric and pattern added; photos where either cannot be told are rejected with all their items."""
    codes = {"fabric": tables.fabrics, "pattern": tables.patterns}
    clear = shows_one_of_each(items["name_photo"], items["name_type"], items["layer"])
    picked = {}
    for head in HEADS:
        named = {layer: decode(items[f"{head}_{layer}"], codes[head], f"{head}_{layer}") for layer in LAYERS}
        picked[head] = pick_layers(items["layer"], clear, pd.DataFrame(named))
        items[head] = picked[head]["value"]

    outcomes = [picked[head]["outcome"] for head in HEADS]
    dropped = drop_photos(items["name_photo"], *outcomes)
    for row in items[dropped].itertuples():
        undecided = [
            f"{head} codes: upper {getattr(row, f'{head}_upper')}, outer {getattr(row, f'{head}_outer')}"
            for head in HEADS
            if picked[head]["outcome"][row.Index] == "dropped"
        ]
        detail = "; ".join(undecided) or f"another item of photo {row.name_photo} is ambiguous"
        account.ledger("items").reject(row.item_id, "ambiguous_layer", detail)
    for head, outcome in zip(HEADS, outcomes, strict=True):
        # Items that go with their photo count as dropped for both heads, so that each note adds up to all items.
        account.note(f"layers_{head}", Counter(outcome.mask(dropped, "dropped")))
    return items[~dropped]
