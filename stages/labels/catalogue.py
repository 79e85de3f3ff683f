"""The policy of a catalogue of photos with one label each; its label table maps labels to superclasses."""

import pandas as pd

from stages.contracts.ledger import Account
from stages.core.errors import StageError, shown
from stages.labels.merging import EMPTY, LabelTables, merge, read_merge_table
from stages.labels.params import CatalogueParams, LabelParams


def columns(params: LabelParams, source: str) -> tuple[str, ...]:
    """The column of the catalogue that the policy reads, which params name."""
    return (params.catalogue_of(source).label_column,)


def upstream_values(items: pd.DataFrame, tables: LabelTables, params: LabelParams, source: str) -> dict[str, pd.Series]:
    """Head -> upstream's values; the label is the type."""
    return {"type": items[params.catalogue_of(source).label_column]}


def read_label_table(tables: LabelTables, catalogue: CatalogueParams) -> dict[str, str]:
    """Label -> superclass, "" for labels whose rows are rejected.

    Raises:
        StageError: a superclass in the table is not in superclasses.csv.
    """
    path = tables.folder / catalogue.table
    table = read_merge_table(path, [catalogue.label_column, "superclass"])
    known = tables.vocabulary()["superclass"]
    unlisted = set(table["superclass"]) - known - {""}
    if unlisted:
        raise StageError(f"{path}: superclass {shown(unlisted)} is not known; expected one of: {shown(known)}.")
    return dict(zip(table[catalogue.label_column], table["superclass"], strict=True))


def types_of(superclass_of: dict[str, str]) -> set[str]:
    """The labels that are types: those with a superclass."""
    return {name for name, superclass in superclass_of.items() if superclass}


def label(items: pd.DataFrame, tables: LabelTables, params: LabelParams, account: Account) -> pd.DataFrame:
    """The labels of the kept photos; the others are recorded in ``account``.

    Args:
        items: one photo a row: item_id, image_id, label, and split, group_id and cluster of its image.

    Raises:
        StageError: a label is not in the catalogue's table.
    """
    catalogue = params.catalogue_of(account.source)
    superclass_of = read_label_table(tables, catalogue)
    column = catalogue.label_column
    names = items[column].fillna("").str.strip()  # the table's labels are stripped as well
    unlisted = set(names) - set(superclass_of)
    if unlisted:
        raise StageError(
            f"{account.source}: label {shown(name or EMPTY for name in unlisted)} is not in "
            f"{tables.folder / catalogue.table}, which has: {shown(superclass_of, 30)}. Add a line with its "
            "superclass, or with an empty one to reject its photos."
        )
    superclasses = merge(names, superclass_of)
    rejected = superclasses.isna()
    for item_id, name in items.loc[rejected, ["item_id", column]].itertuples(index=False):
        account.ledger("items").reject(item_id, "not_a_garment", f"label {name}")
    items, superclasses = items[~rejected], superclasses[~rejected]
    return pd.DataFrame(
        {
            "item_id": items["item_id"],
            "image_id": items["image_id"],
            "photo": items["image_id"],
            "split": items["split"],
            "group_id": items["group_id"],
            "cluster": items["cluster"],
            "superclass": superclasses,
            "agrees": [[superclass] for superclass in superclasses],
            "type": names[~rejected],
        }
    )
