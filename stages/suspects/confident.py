"""Which labels are probably wrong, by what two witnesses say of them: confident learning, and neighbors that disagree.

Confident learning is that of Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset
Labels" (JAIR 70), as cleanlab has it: a class claims the rows whose probability for it is at least the mean of those
that carry its label, and the rows that another class claims than their own say how many labels are wrong. Which ones,
the probability of the label says (cleanlab's self-confidence): on the demo it puts more wrong labels first than the
margin, the claims themselves or the mean of both witnesses (docs/label-errors.md).
"""

from typing import NamedTuple

import numpy as np

OUT_OF_FOLD, NEIGHBORS, BOTH = "out of fold", "neighbors", "both"  # who doubts a label


class Suspect(NamedTuple):
    """A row whose label is probably wrong.

    Attributes:
        row: its number.
        suggestion: the class that it rather is: the most probable other one.
        label_probability, suggestion_probability: probabilities of its label and of the suggestion, out of fold.
        votes: share of its neighbors that carry its label.
        reason: who doubts it.
    """

    row: int
    suggestion: int
    label_probability: float
    suggestion_probability: float
    votes: float
    reason: str

    @property
    def confidence(self) -> float:
        """How sure the classifier out of fold is that the label is wrong."""
        return 1 - self.label_probability


def find(labels: np.ndarray, probabilities: np.ndarray, votes: np.ndarray) -> list[Suspect]:
    """Rows that confident learning lists, and rows of whose neighbors none has their label; the most certain first.

    Args:
        labels: int [n], 0 <= label < classes.
        probabilities: [n, classes], of what did not learn from the row. A row whose own label has none cannot be
            judged, as nothing else has that label, and is left out.
        votes: [n, classes], shares of the row's neighbors.
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
