"""What the classifier takes for what: figures by class, confused pairs, and labels that are probably wrong.

Probably wrong labels are counted by confident learning (Northcutt, Jiang and Chuang 2021, "Confident Learning:
Estimating Uncertainty in Dataset Labels"): the probabilities must be of rows that the network did not learn from.
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
    """A row for each class, in the order of ``BY_CLASS`` without the head: it against all others.

    A ratio of nothing is None: recall of a class without a row, precision of one that was never predicted, F1 of
    neither. (In the macro figures the second counts as 0.)

    Args:
        pairs: actual and predicted name of each row.
        classes: of the head; names of rows that are none of them come after.
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
    """Actual name, name that was predicted instead, rows, and their share of the actual class's: the most rows first.

    Of equally many the larger share comes first, then the names decide.
    """
    actual = Counter(label for label, _ in pairs)
    counts = Counter((label, prediction) for label, prediction in pairs if label != prediction)
    rows = [[label, prediction, count, count / actual[label]] for (label, prediction), count in counts.items()]
    return sorted(rows, key=lambda row: (-row[2], -row[3], row[0], row[1]))


@dataclass(frozen=True)
class Suspect:
    """A row whose label is probably wrong.

    Attributes:
        row: its number among the labeled rows.
        given, likely: probabilities of the label and of the class that it probably is.
    """

    row: int
    label: str
    given: float
    prediction: str
    likely: float


def suspects(labels: Sequence[str], probabilities: np.ndarray, classes: Sequence[str]) -> list[Suspect]:
    """Rows whose label the network believes least, the least first: as many as other classes claim.

    A class claims the rows whose probability for it is at least the mean of those that carry its label; of several
    claims the most probable class counts (the confident joint). That says how many labels are wrong. Which ones, the
    probability of the label says (low self-confidence); rows whose label is the most probable class stay out. The
    claimed rows themselves are worse suspects on the demo (docs/methods.md).

    Args:
        labels: [n]; one that is not among ``classes``, as training had none of it, is never suspected.
        probabilities: [n, classes], of a network that did not learn from these rows.
    """
    rows = [row for row, label in enumerate(labels) if label in classes]
    given = np.array([classes.index(labels[row]) for row in rows], dtype=int)
    shares = probabilities[rows].astype(np.float64)
    own = shares[np.arange(len(rows)), given]
    carried = np.bincount(given, minlength=len(classes))
    sums = np.bincount(given, own, minlength=len(classes))
    # A class that no row carries has no threshold and claims none.
    thresholds = np.divide(sums, carried, out=np.full(len(classes), np.inf), where=carried > 0)
    claims = np.where(shares >= thresholds, shares, -1.0)
    claimed = int(((claims.max(axis=1) >= 0) & (claims.argmax(axis=1) != given)).sum())
    likely = shares.argmax(axis=1)
    doubted = sorted((own[at], at) for at in np.flatnonzero(likely != given))[:claimed]
    return [
        Suspect(rows[at], labels[rows[at]], float(share), classes[likely[at]], float(shares[at, likely[at]]))
        for share, at in doubted
    ]


PICTURE, CAPTION, GAP = 96, 24, 6  # pixels: side of a picture, two lines of text below it, around both
ACROSS, MOST = 6, 24  # pictures in a row, and of a sheet
FONT = 9


def suspect_sheet(suspected: Sequence[Suspect], crops: Sequence[bytes]) -> Image.Image:
    """The first ``MOST`` suspects of a head: below each picture its label, then what it probably is, by probability.

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
    """``name`` and ``end``, the name cut off where both are wider than a picture."""
    text = name + end
    while draw.textlength(text, font) > PICTURE and len(name) > 1:
        name = name[:-1]
        text = f"{name}...{end}"
    return text
