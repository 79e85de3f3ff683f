"""Which of an image's upper, lower and outer labels belongs to which garment (docs/methods.md, layers).

DeepFashion labels an image, not an item: a fabric (and a pattern) each for what is worn above, below and over it.
"""

import pandas as pd

from stages.labels.merging import text_column

# lower: a bottom type takes the lower label.         clear: the photo shows one outer and one upper type.
# one_missing: the only label of the two is taken.    equal: both say the same.
# both_missing: neither is there, so it is unknown.   dropped: they differ and nothing tells which is meant.
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
