"""Errors of the classifier: scores by class, confused pairs, and labels that are probably wrong.

Probably wrong labels are counted by confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning:
Estimating Uncertainty in Dataset Labels"): the network must not have been trained on the rows.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stages.contracts.images import resized

BY_CLASS = ["head", "class", "rows", "predicted", "tp", "fp", "fn", "tn", "precision", "recall", "f1"]
CONFUSED = ["head", "actual", "predicted", "rows", "share"]
SUSPECTS = ["head", "crop_id", "label", "label_probability", "prediction", "probability"]


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
        tp, rows, said = both[name, name], actual[name], predicted[name]
        ratios = (tp / said if said else None, tp / rows if rows else None)
        f1 = 2 * tp / (rows + said) if rows + said else None
        table.append([name, rows, said, tp, said - tp, rows - tp, len(pairs) - rows - said + tp, *ratios, f1])
    return table


def confused(pairs: Sequence[Sequence[str]]) -> list[list[Any]]:
    """Rows of actual name, wrongly predicted name, count, and share of the actual class; the largest count first.

    Equal counts are sorted by share, then by name.
    """
    actual = Counter(label for label, _ in pairs)
    counts = Counter((label, prediction) for label, prediction in pairs if label != prediction)
    rows = [[label, prediction, count, count / actual[label]] for (label, prediction), count in counts.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0], row[1]))


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong.

    Attributes:
        row: its position among the labeled rows.
        given, likely: probabilities of the label and of the predicted class.
    """

    row: int
    label: str
    given: float
    prediction: str
    likely: float


def suspects(labels: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]) -> list[Suspect]:
    """Rows whose label is least probable, in order; as many as other classes claim.

    A class claims a row if the row's probability for it is at least the mean probability of the rows with its label. Of
    several claims on a row the most probable class counts (the confident joint). The number of claims by other classes
    estimates the number of wrong labels. The suspects are the rows with the smallest probability of their label (low
    self-confidence), without rows whose label is the prediction. On the demo the claimed rows themselves are worse
    suspects (docs/methods.md).

    Args:
        labels: [n]; a label outside ``classes``, which no training row had, is never suspected.
        probabilities: [n, classes], of a network that was not trained on these rows.
    """
    rows = [row for row, label in enumerate(labels) if label in classes]
    given = np.array([classes.index(labels[row]) for row in rows], dtype=int)
    shares = probabilities[rows].astype(np.float64)
    own = shares[np.arange(len(rows)), given]
    carried = np.bincount(given, minlength=len(classes))
    sums = np.bincount(given, own, minlength=len(classes))
    # A class without rows has no threshold and claims no row.
    thresholds = np.divide(sums, carried, out=np.full(len(classes), np.inf), where=carried > 0)
    claims = np.where(shares >= thresholds, shares, -1.0)
    claimed = int(((claims.max(axis=1) >= 0) & (claims.argmax(axis=1) != given)).sum())
    likely = shares.argmax(axis=1)
    doubted = sorted((own[at], at) for at in np.flatnonzero(likely != given))[:claimed]
    return [
        Suspect(rows[at], labels[rows[at]], float(share), classes[likely[at]], float(shares[at, likely[at]]))
        for share, at in doubted
    ]


PICTURE, CAPTION, GAP = 96, 24, 6  # pixels: side of a picture, height of two lines of text, space around both
ACROSS, MOST = 6, 24  # pictures in a row, and in a sheet
FONT = 9


def suspect_sheet(suspected: Sequence[Suspect], crops: Sequence[bytes]) -> Image.Image:
    """The first ``MOST`` suspects of a head: below each picture its label and the predicted class, with probabilities.

    Args:
        crops: encoded pictures of the labeled rows.
    """
    shown = suspected[:MOST]
    wide, high = PICTURE + GAP, PICTURE + CAPTION + GAP
    sheet = Image.new("RGB", (min(len(shown), ACROSS) * wide + GAP, -(-len(shown) // ACROSS) * high + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT)
    for at, suspect in enumerate(shown):
        left, top = at % ACROSS * wide + GAP, at // ACROSS * high + GAP
        sheet.paste(resized(crops[suspect.row], PICTURE, PICTURE), (left, top))
        lines = (
            (suspect.label, suspect.given, (120, 120, 120)),
            (f"rather {suspect.prediction}", suspect.likely, (0, 0, 0)),
        )
        for line, (name, share, color) in enumerate(lines):
            draw.text(
                (left, top + PICTURE + line * CAPTION // 2), fitting(draw, font, name, f" {share:.2f}"), color, font
            )
    return sheet


def fitting(draw: ImageDraw.ImageDraw, font: Any, name: str, end: str) -> str:
    """``name`` and ``end``; the name is shortened where both are wider than a picture."""
    text = name + end
    while draw.textlength(text, font) > PICTURE and len(name) > 1:
        name = name[:-1]
        text = f"{name}...{end}"
    return text
