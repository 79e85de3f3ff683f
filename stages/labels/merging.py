"""Merging upstream's values into the classes of the heads: columns and merge tables in, columns out.

A value that its table does not have, or has with an empty target, becomes unknown (null). ``unknown_names``
counts these by name, so that nothing disappears unseen.
"""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from stages.core.errors import StageError, shown
from stages.labels.merge_tables import split_names

EMPTY = "(empty)"  # how a value of "" is named in counts and messages


def text_column(values: list[str | None], index: pd.Index) -> pd.Series:
    """A column of strings where None is null, also when every value is."""
    return pd.Series(values, index=index, dtype="str")


def merge(values: pd.Series, targets: Mapping[str, str]) -> pd.Series:
    """Each value's target; null for values without one or with an empty one."""
    return text_column([targets.get(value) or None for value in values.fillna("")], values.index)


def unknown_names(values: pd.Series, merged: pd.Series) -> Counter:
    """How often each upstream value became unknown."""
    return Counter(value or EMPTY for value in values[merged.isna()].fillna(""))


def merge_colors(colors: pd.Series, table: pd.DataFrame) -> pd.Series:
    """baseColour -> one of the 13 colours of ``colors.csv``."""
    return merge(colors, dict(zip(table["baseColour"], table["color"], strict=True)))


def merge_usage(usage: pd.Series, table: pd.DataFrame) -> pd.Series:
    """usage -> Casual, Ethnic, Formal or Sports."""
    return merge(usage, dict(zip(table["usage"], table["merged"], strict=True)))


def merge_gender(gender: pd.Series, table: pd.DataFrame) -> pd.Series:
    """gender -> Men or Women; what happens to the others is ``labels.gender_policy``."""
    return merge(gender, dict(zip(table["gender"], table["merged"], strict=True)))


def merge_groups(subcategories: pd.Series, table: pd.DataFrame) -> pd.Series:
    """subCategory -> one of the five groups; null where the table says that the row is rejected.

    Raises:
        StageError: for a subCategory that the table does not have: it decides whether a row stays, so it is
            not guessed.
    """
    unlisted = set(subcategories.fillna("")) - set(table["subCategory"])
    if unlisted:
        raise StageError(
            f"subCategory {shown(value or EMPTY for value in unlisted)} is not in tables/subcategories.csv, which "
            f"has: {shown(table['subCategory'])}. Add a line with its group, or with no group to reject its rows."
        )
    return merge(subcategories, dict(zip(table["subCategory"], table["group"], strict=True)))


def merge_types(articles: pd.Series, table: pd.DataFrame) -> pd.Series:
    """articleType -> one of the 32 clothing types; ``types.csv`` lists the articleTypes of each."""
    targets = {
        article: name
        for name, cell in zip(table["type"], table["fashion_products"], strict=True)
        for article in split_names(cell)
    }
    return merge(articles, targets)


def decode(codes: pd.Series, table: pd.DataFrame, what: str) -> pd.Series:
    """Upstream's numbers as names; null where upstream says NA or has no annotation.

    Args:
        codes: numbers as strings, null where the image is not in the annotation file.
        table: columns code and name (``fabrics.csv``, ``patterns.csv``).
        what: how messages name the column.

    Raises:
        StageError: for a number that the table does not have: the names would be shifted.
    """
    unlisted = set(codes.dropna()) - set(table["code"])
    if unlisted:
        raise StageError(
            f"{what} has the code {shown(value or EMPTY for value in unlisted)}; expected one of: "
            f"{shown(table['code'])}. Check that the annotation file is upstream's, or extend the table in tables/."
        )
    return merge(codes, dict(zip(table["code"], table["name"], strict=True)))
