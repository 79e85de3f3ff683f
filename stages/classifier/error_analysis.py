"""Errors of the classifier: scores by class, and confused pairs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

BY_CLASS = ["head", "class", "rows", "predicted", "tp", "fp", "fn", "tn", "precision", "recall", "f1"]
CONFUSED = ["head", "actual", "predicted", "rows", "share"]


def by_class(pairs: Sequence[Sequence[str]], classes: Sequence[str]) -> list[list[Any]]:
    """A row for each class against all others, with the columns of ``BY_CLASS`` after the head.

    Undefined ratios are None: the recall of a class without rows, the precision of a class that was never predicted, F1
    where both are. (Macro precision counts the second as 0.)

    Args:
        pairs: actual and predicted name of each row.
        classes: of the head; other names in ``pairs`` come after them.
    """
    actual, predicted, both = (Counter(names) for names in (*zip(*pairs, strict=True), map(tuple, pairs)))
    table = []
    for name in [*classes, *sorted(set(actual) - set(classes))]:
        tp, rows, taken = both[name, name], actual[name], predicted[name]
        ratios = (tp / taken if taken else None, tp / rows if rows else None)
        f1 = 2 * tp / (rows + taken) if rows + taken else None
        table.append([name, rows, taken, tp, taken - tp, rows - tp, len(pairs) - rows - taken + tp, *ratios, f1])
    return table


def confused(pairs: Sequence[Sequence[str]]) -> list[list[Any]]:
    """Rows of actual name, wrongly predicted name, count, and share of the actual class; the largest count first.

    Equal counts are sorted by share, then by name.
    """
    actual = Counter(label for label, _ in pairs)
    counts = Counter((label, prediction) for label, prediction in pairs if label != prediction)
    rows = [[label, prediction, count, count / actual[label]] for (label, prediction), count in counts.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0], row[1]))
