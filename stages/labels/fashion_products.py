"""Fashion Products: upstream's columns merged into heads by the tables, one product shot per item."""

from collections import Counter

import pandas as pd

from stages.contracts.ledger import Account
from stages.core.errors import StageError, shown
from stages.core.heads import heads_of
from stages.labels.merging import (
    LabelTables,
    merge_groups,
    split_names,
    unknown_names,
)
from stages.labels.params import LabelParams

VIEW = "product"
UPSTREAM = {head.name: head.column for head in heads_of("fashion_products")}  # head -> column
COLUMNS = ("subCategory", *UPSTREAM.values())


def columns(params: LabelParams, source: str) -> tuple[str, ...]:
    """Upstream's columns that the policy reads."""
    return COLUMNS


def upstream_values(items: pd.DataFrame, tables: LabelTables, params: LabelParams, source: str) -> dict[str, pd.Series]:
    """Head -> upstream's values, for the statistics of before and after."""
    return {head: items[column] for head, column in UPSTREAM.items()}


def group_superclasses(superclasses: pd.DataFrame, reference: dict[str, str]) -> dict[str, tuple[str, list[str]]]:
    """Group -> (its superclass, every superclass a detection may have to agree with it).

    Args:
        superclasses: columns superclass and fashion_products_group, in the order of the ids.
        reference: the superclass of groups that hold several (Topwear: outwear, top, vest).

    Raises:
        StageError: a group holds several superclasses and ``reference`` names none of them.
    """
    result = {}
    for group, rows in superclasses.groupby("fashion_products_group", sort=False):
        agreeing = list(rows["superclass"])
        superclass = reference.get(group, agreeing[0] if len(agreeing) == 1 else None)
        if superclass not in agreeing:
            raise StageError(
                f"params.yaml: `labels.group_superclass.{group}` is {superclass!r}; "
                f"expected one of {shown(agreeing)} (tables/superclasses.csv). Set it to the commonest."
            )
        result[group] = (superclass, agreeing)
    return result


def type_superclasses(deepfashion_types: pd.DataFrame) -> dict[str, str]:
    """Merged type -> its superclass, for the types in DeepFashion's table.

    It is the first of the type's agreeing detections; a type with different superclasses in two lines has none.
    """
    of_type: dict[str, set[str]] = {}
    for name, cell in zip(deepfashion_types["merged_type"], deepfashion_types["agreeing_detections"], strict=True):
        of_type.setdefault(name, set()).add(split_names(cell)[0])
    return {name: superclasses.pop() for name, superclasses in of_type.items() if len(superclasses) == 1}


def label(items: pd.DataFrame, tables: LabelTables, params: LabelParams, account: Account) -> pd.DataFrame:
    """The labels of the kept rows; the others are recorded in ``account``.

    Args:
        items: one product a row: item_id, image_id, upstream's columns, and split and cluster of its image.
    """
    groups = merge_groups(items["subCategory"], tables.subcategories)
    stays = _reject(items, groups, tables, params, account)
    items, groups = items[stays], groups[stays]

    superclasses = group_superclasses(tables.superclasses, params.group_superclass)
    heads = {head: tables.merged(head, items[column]) for head, column in UPSTREAM.items()}
    of_type = type_superclasses(tables.deepfashion_types)
    labels = pd.DataFrame(
        {
            "item_id": items["item_id"],
            "image_id": items["image_id"],
            "photo": items["image_id"],
            "split": items["split"],
            "group_id": items["cluster"],  # near-duplicate shots of one product stay in one split
            "cluster": items["cluster"],
            "view": VIEW,
            "superclass": [
                of_type[name] if of_type.get(name) in superclasses[group][1] else superclasses[group][0]
                for name, group in zip(heads["type"], groups, strict=True)
            ],
            "agrees": [superclasses[group][1] for group in groups],
            **heads,
        }
    )
    for head, column in UPSTREAM.items():
        account.note(f"unknown_{head}", unknown_names(items[column], labels[head]))
    account.note("type_outside_its_group", type_conflicts(labels["type"], groups, tables.types))
    return labels


def _reject(
    items: pd.DataFrame,
    groups: pd.Series,
    tables: LabelTables,
    params: LabelParams,
    account: Account,
) -> pd.Series:
    """Record the rows that the policy rejects, each with its first reason; True for the kept rows."""
    ledger = account.ledger("items")
    stays = pd.Series(True, index=items.index)
    checks = [
        (groups.isna(), "not_a_garment", "subCategory"),
        (items["articleType"].isin(set(tables.types_rejected["articleType"])), "not_a_garment", "articleType"),
    ]
    if params.gender_policy == "drop_row":
        column = UPSTREAM["gender"]
        checks.append((tables.merged("gender", items[column]).isna(), "gender_left_out", column))
    for left_out, reason, column in checks:
        for item_id, value in items.loc[left_out & stays, ["item_id", column]].itertuples(index=False):
            ledger.reject(item_id, reason, f"{column} {value}")
        stays &= ~left_out
    return stays


def type_conflicts(types: pd.Series, groups: pd.Series, table: pd.DataFrame) -> Counter:
    """How often a type occurs in a group other than its own, named ``type in group``.

    The rows are kept unchanged, since in the published cleaning subCategory chooses the detector; a person can check
    the counts.
    """
    own = dict(zip(table["type"], table["group"], strict=True))
    pairs = zip(types, groups, strict=True)
    return Counter(f"{name} in {group}" for name, group in pairs if name in own and own[name] != group)
