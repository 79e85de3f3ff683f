"""DeepFashion-MultiModal: gender, type, person and view from file names, fabric and pattern by the layer policy.

File names tell who wears what: ``{gender}-{type}-id_{8 digits}-{n1}_{n2}_{pos}``.
``WOMEN-Blouses_Shirts-id_00000001-02_1_front``: person 00000001 wears a blouse in outfit 02, photo 1, seen from the
front. A photo has one file for each type that it shows, so gender, id, n1 and n2 together name the photo.

DeepFashion labels an image, not an item: it gives one fabric and one pattern each for the upper, the lower and the
outer layer. docs/methods.md says which layer belongs to which garment.

Shapes (sleeves, hat, glasses and so on) describe the image, not one garment, so they are read and checked, and are not
labels of heads.
"""

import re
from collections import Counter

import pandas as pd

from stages.contracts.ledger import Account
from stages.core.errors import StageError, shown
from stages.core.heads import heads_of
from stages.labels.merging import LAYERS, LabelTables, decode, merge, split_names, text_column
from stages.labels.params import LabelParams

GENDERS = {"MEN": "Men", "WOMEN": "Women"}  # in file names -> classes of the gender head
POSITIONS = ("front", "side", "back", "full", "additional", "flat")
NAME = re.compile(
    rf"(?P<gender>{'|'.join(GENDERS)})-(?P<type>[A-Za-z]+(?:_[A-Za-z]+)*)-id_(?P<id>[0-9]{{8}})"
    rf"-(?P<n1>[0-9]+)_(?P<n2>[0-9]+)_(?P<pos>{'|'.join(POSITIONS)})"
)
NAME_FIELDS = tuple(NAME.groupindex)
EXPECTED = "GENDER-Type-id_00000001-02_1_front"


def parse_name(stem: str) -> dict[str, str] | None:
    """The fields of a file name without extension: gender, type, id, n1, n2, pos; None for other names."""
    match = NAME.fullmatch(stem)
    return match.groupdict() if match else None


def parse_names(stems: pd.Series) -> pd.DataFrame:
    """One row for each name, with its fields and the keys made of them; all null where a name cannot be parsed.

    Columns: the fields, then ``person`` (gender and id), ``instance`` (the physical item: person and type) and
    ``photo`` (person, n1 and n2).
    """
    parsed = [parse_name(stem) or dict.fromkeys(NAME_FIELDS) for stem in stems]
    fields = pd.DataFrame({field: text_column([row[field] for row in parsed], stems.index) for field in NAME_FIELDS})
    person = fields["gender"] + "-id_" + fields["id"]
    return fields.assign(
        person=person,
        instance=fields["gender"] + "-" + fields["type"] + "-id_" + fields["id"],
        photo=person + "-" + fields["n1"] + "_" + fields["n2"],
    )


# In the order of upstream's columns: number of codes of each attribute, the last one being NA.
SHAPE_CODES = {
    "sleeve": 6,
    "lower_length": 5,
    "socks": 4,
    "hat": 3,
    "glasses": 5,
    "neckwear": 3,
    "wrist": 3,
    "ring": 3,
    "waist": 5,
    "neckline": 7,  # a 7 would mean the numbering of an old README, which skips a number
    "outer_is_cardigan": 3,  # 0 means yes
    "covers_navel": 3,
}


def parse_shapes(shapes: pd.Series) -> pd.DataFrame:
    """One column of codes for each attribute; rows without annotation (null) are left out.

    Args:
        shapes: the 12 codes of an image joined by spaces, null when it is not in the shape file.

    Raises:
        StageError: a row does not have 12 codes, or a code is outside its attribute's range.
    """
    present = shapes.dropna()
    rows = [cell.split() for cell in present]
    for image, codes in zip(present.index, rows, strict=True):
        if len(codes) != len(SHAPE_CODES) or not all(code.isdigit() for code in codes):
            raise StageError(
                f"shape annotation of item {image}: found {' '.join(codes)!r}, expected {len(SHAPE_CODES)} numbers. "
                "Check that labels/shape/shape_anno_all.txt is upstream's."
            )
    table = pd.DataFrame(rows, index=present.index, columns=list(SHAPE_CODES)).astype("int64")
    wrong = [
        f"{name} {table[name].max()} (at most {count - 1})"
        for name, count in SHAPE_CODES.items()
        if len(table) and table[name].max() >= count
    ]
    if wrong:
        raise StageError(
            f"shape annotation: code out of range: {shown(wrong)}. "
            "The numbering is not the one of shape_anno_all.txt: check which release the file is from."
        )
    return table


# lower: a bottom type takes the lower label.         clear: the photo shows one outer and one upper type.
# one_missing: the only label of the two is taken.    equal: both labels are the same.
# both_missing: no label, so the value is unknown.    dropped: the labels differ and nothing decides between them.
OUTCOMES = ("lower", "clear", "one_missing", "equal", "both_missing", "dropped")


def shows_one_of_each(photos: pd.Series, types: pd.Series, layers: pd.Series) -> pd.Series:
    """For each item: its photo shows exactly one outer type and exactly one upper type. Bottom types don't count."""
    items = pd.DataFrame({"photo": photos, "type": types, "layer": layers})
    counts = items.groupby(["photo", "layer"])["type"].nunique().unstack(fill_value=0)
    counts = counts.reindex(columns=["upper", "outer"], fill_value=0)
    clear = set(counts.index[(counts["upper"] == 1) & (counts["outer"] == 1)])
    return photos.isin(clear)


def pick_layer(
    layer: str, clear: bool, upper: str | None, lower: str | None, outer: str | None
) -> tuple[str | None, str]:
    """The label of one item and how it was found (one of ``OUTCOMES``).

    Args:
        layer: upper, lower or outer: where the item's type is worn (``deepfashion_types.csv``).
        clear: its photo shows one outer and one upper type.
        upper, lower, outer: the image's labels, None where unknown.
    """
    if layer == "lower":
        return lower, "lower"
    if clear:
        return (outer if layer == "outer" else upper), "clear"
    if upper is None and outer is None:
        return None, "both_missing"
    if upper is None or outer is None:
        return upper or outer, "one_missing"
    if upper == outer:
        return upper, "equal"
    return None, "dropped"


def pick_layers(layers: pd.Series, clear: pd.Series, labels: pd.DataFrame) -> pd.DataFrame:
    """``pick_layer`` for each item: columns value and outcome.

    Args:
        labels: columns upper, lower, outer.
    """
    columns = [labels[name].astype(object).where(labels[name].notna(), None) for name in ("upper", "lower", "outer")]
    picked = [pick_layer(*row) for row in zip(layers, clear, *columns, strict=True)]
    return pd.DataFrame(
        {
            "value": text_column([value for value, _ in picked], layers.index),
            "outcome": text_column([outcome for _, outcome in picked], layers.index),
        }
    )


def drop_photos(photos: pd.Series, *outcomes: pd.Series) -> pd.Series:
    """For each item: its photo is dropped, because for one of its items one of ``outcomes`` is dropped."""
    undecided = pd.Series(False, index=photos.index)
    for outcome in outcomes:
        undecided |= outcome == "dropped"
    return photos.isin(set(photos[undecided]))


LAYERED = {head.name: head.column for head in heads_of("deepfashion_mm")}  # head -> column, of which each layer has one
COLUMNS = (*(f"{column}_{layer}" for column in LAYERED.values() for layer in LAYERS), "shape")


def columns(params: LabelParams, source: str) -> tuple[str, ...]:
    """Upstream's columns that the policy reads."""
    return COLUMNS


def upstream_values(items: pd.DataFrame, tables: LabelTables, params: LabelParams, source: str) -> dict[str, pd.Series]:
    """Head -> upstream's values: gender and type from the names, the others of all three layers."""
    names = parse_names(items["image_id"])
    values = {"gender": names["gender"], "type": names["type"]}
    for head, column in LAYERED.items():
        codes = pd.concat([items[f"{column}_{layer}"] for layer in LAYERS], ignore_index=True)
        values[head] = decode(codes, tables.targets(head), column)
    return values


def label(items: pd.DataFrame, tables: LabelTables, params: LabelParams, account: Account) -> pd.DataFrame:
    """The labels of the kept items; the others are recorded in ``account``.

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
            **{head: items[head] for head in LAYERED},
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
    """Add columns of the heads; photos on which one is ambiguous are rejected with all their items."""
    clear = shows_one_of_each(items["name_photo"], items["name_type"], items["layer"])
    picked = {}
    for head, column in LAYERED.items():
        targets = tables.targets(head)
        named = {layer: decode(items[f"{column}_{layer}"], targets, f"{column}_{layer}") for layer in LAYERS}
        picked[head] = pick_layers(items["layer"], clear, pd.DataFrame(named))
    items = items.assign(**{head: own["value"] for head, own in picked.items()})

    outcomes = [own["outcome"] for own in picked.values()]
    dropped = drop_photos(items["name_photo"], *outcomes)
    for row in items[dropped].itertuples():
        undecided = [
            f"{head} codes: upper {getattr(row, f'{column}_upper')}, outer {getattr(row, f'{column}_outer')}"
            for head, column in LAYERED.items()
            if picked[head]["outcome"][row.Index] == "dropped"
        ]
        detail = "; ".join(undecided) or f"another item of photo {row.name_photo} is ambiguous"
        account.ledger("items").reject(row.item_id, "ambiguous_layer", detail)
    for head, outcome in zip(LAYERED, outcomes, strict=True):
        # Items that are rejected with their photo count as dropped for every head, so that each note sums to all items.
        account.note(f"layers_{head}", Counter(outcome.mask(dropped, "dropped")))
    return items[~dropped]
