"""Lists labels that are probably wrong, from two witnesses: confident learning, and neighbors that disagree.

Confident learning is that of Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels" (JAIR 70), as implemented in cleanlab. A class claims a row if the row's probability of the class is at least
the mean over the rows with that label. The number of rows that are claimed by another class than their own is the
number of wrong labels. The rows with the smallest probability of their label (cleanlab's self-confidence) are listed:
on the demo, this order puts more wrong labels first than the margin, the claims themselves or the mean of both
witnesses (docs/label-errors.md).
"""

from typing import NamedTuple

import numpy as np

OUT_OF_FOLD, NEIGHBORS, BOTH = "out of fold", "neighbors", "both"  # who doubts a label


class Suspect(NamedTuple):
    """A row whose label is probably wrong.

    Attributes:
        row: its number.
        suggestion: the most probable other class.
        label_probability, suggestion_probability: probabilities of its label and of the suggestion, out of fold.
        votes: share of its neighbors that have its label.
        reason: which witness doubts the label.
    """

    row: int
    suggestion: int
    label_probability: float
    suggestion_probability: float
    votes: float
    reason: str

    @property
    def confidence(self) -> float:
        """Probability that the label is wrong, by the classifier out of fold."""
        return 1 - self.label_probability


def find(labels: np.ndarray, probabilities: np.ndarray, votes: np.ndarray) -> list[Suspect]:
    """Rows that confident learning lists, and rows without a neighbor that has their label; the most certain first.

    Args:
        labels: int [n], 0 <= label < classes.
        probabilities: [n, classes], by a classifier that did not learn from the row. If the probability of the row's
            own label is 0, no other row has that label: it cannot be judged and is left out.
        votes: [n, classes], share of the row's neighbors in each class.
    """
    from cleanlab.filter import find_label_issues

    every = np.arange(len(labels))
    of_label = probabilities[every, labels]
    judged = np.flatnonzero(of_label > 0)
    listed = np.zeros(len(labels), dtype=bool)
    if len(np.unique(labels[judged])) > 1:
        listed[judged] = find_label_issues(
            labels[judged], probabilities[judged], filter_by="low_self_confidence", n_jobs=1
        )
    without_own = probabilities.copy()
    without_own[every, labels] = -1
    suggestion = without_own.argmax(axis=1)
    lonely = (votes[every, labels] == 0) & (of_label > 0)
    reasons = {(True, False): OUT_OF_FOLD, (False, True): NEIGHBORS, (True, True): BOTH}
    suspects = [
        Suspect(
            row,
            int(suggestion[row]),
            float(of_label[row]),
            float(without_own[row, suggestion[row]]),
            float(votes[row, labels[row]]),
            reasons[bool(listed[row]), bool(lonely[row])],
        )
        for row in np.flatnonzero(listed | lonely).tolist()
    ]
    return sorted(suspects, key=lambda suspect: (suspect.label_probability, suspect.row))
