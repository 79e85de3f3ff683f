"""Scores of one head and of the groups of its classes, with their baselines.

A type's group is the broad kind of garment. The 32 types of the merge tables belong to the five groups of ``types.csv``
(Topwear, Bottomwear, Dress, Footwear, Headwear). The labels of a catalogue belong to the superclasses of its label
table. If a data set has both, superclasses are replaced by the groups that ``superclasses.csv`` gives them, so that all
rows use the same names.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stages.core.errors import StageError, shown
from stages.labels.catalogue import read_label_table
from stages.labels.merging import LabelTables, read_label_tables
from stages.labels.params import LabelParams


def type_groups(types: list[str], sources: list[str], params: LabelParams, folder: Path) -> dict[str, str]:
    """The group of each of ``types``.

    Args:
        types: classes of the head ``type``.
        sources: label sources of these types.
        params: which policy labeled which source.
        folder: the merge tables.

    Raises:
        StageError: no table of these sources has a type, or two tables put it into different groups.
    """
    tables = read_label_tables(folder)
    catalogues = [source for source in sources if params.policy_of(source) == "catalogue"]
    by_catalogue = [
        _of_catalogue(tables, params, source, len(catalogues) < len(sources)) for source in sorted(catalogues)
    ]
    if len(catalogues) < len(sources):
        by_catalogue.append(dict(zip(tables.types["type"], tables.types["group"], strict=True)))
    result: dict[str, str] = {}
    for name in types:
        groups = {groups_of[name] for groups_of in by_catalogue if name in groups_of}
        if len(groups) != 1:
            raise StageError(
                f"{folder}: type {name!r} has {len(groups)} groups ({shown(groups)}), expected one. Give it one line "
                f"in types.csv or in a catalogue's label table; its sources are {shown(sources)}."
            )
        result[name] = groups.pop()
    return result


def _of_catalogue(tables: LabelTables, params: LabelParams, source: str, as_groups: bool) -> dict[str, str]:
    """Label -> superclass of one catalogue, or its superclass's group."""
    labels = read_label_table(tables, params.catalogue_of(source))
    group_of = dict(zip(tables.superclasses["superclass"], tables.superclasses["fashion_products_group"], strict=True))
    return {
        name: group_of[superclass] if as_groups else superclass for name, superclass in labels.items() if superclass
    }


BINS = 10


@dataclass(frozen=True)
class Labeled:
    """Rows with a label of the scored head: the labels [n] and the detected class of each row [n]."""

    labels: list[str]
    detected: list[str]

    def translated(self, names: dict[str, str]) -> "Labeled":
        """The same rows under other names."""
        return Labeled([names[label] for label in self.labels], self.detected)


def majority(labels: list[str]) -> str:
    """The most frequent label; ties by name."""
    return min(Counter(labels).items(), key=lambda entry: (-entry[1], entry[0]))[0]


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error (Guo et al. 2017) over equal bins, each with its lower edge; 1 is in the last."""
    which = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence, side="right")
    gaps = [
        abs(confidence[which == number].mean() - right[which == number].mean()) * (which == number).sum()
        for number in range(bins)
        if (which == number).any()
    ]
    return float(sum(gaps) / len(confidence))


def baselines(test: Labeled, train: Labeled) -> dict[str, float]:
    """Accuracy of predictions that use no picture: the majority label of training, overall and by detected class.

    The second one shows how much the detector alone reveals.
    """
    overall = majority(train.labels)
    of_class: dict[str, list[str]] = {}
    for label, seen in zip(train.labels, train.detected, strict=True):
        of_class.setdefault(seen, []).append(label)
    given = {seen: majority(labels) for seen, labels in of_class.items()}
    right = [label == given.get(seen, overall) for label, seen in zip(test.labels, test.detected, strict=True)]
    return {
        "baseline_majority": float(np.mean([label == overall for label in test.labels])),
        "baseline_majority_given_detected": float(np.mean(right)),
    }


def label_scores(truth: list[str], predicted: list[str], confidence: np.ndarray) -> dict[str, float]:
    """Accuracy, balanced accuracy, macro precision, recall and F1, and calibration error of predictions [n].

    Macro scores are means over the classes that occur in ``truth``, because a class without rows has no score. Balanced
    accuracy equals macro recall (as in scikit-learn); the result has both names.
    """
    from sklearn.metrics import precision_recall_fscore_support

    right = np.array([label == prediction for label, prediction in zip(truth, predicted, strict=True)])
    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, labels=sorted(set(truth)), average="macro", zero_division=0
    )
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(recall),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
        "calibration_error": calibration_error(confidence, right),
    }


def predicted_names(probabilities: np.ndarray, classes: list[str]) -> list[str]:
    """The most probable class of each row of probabilities [n, classes]."""
    return [classes[index] for index in probabilities.argmax(axis=1)]


def head_scores(test: Labeled, probabilities: np.ndarray, classes: list[str], train: Labeled) -> dict[str, Any]:
    """Scores of a head on its labeled test rows, with probabilities [n, classes].

    Returns:
        ``label_scores``, rows, classes, and the baselines: chance (1 / classes) and ``baselines``.
    """
    return {
        **label_scores(test.labels, predicted_names(probabilities, classes), probabilities.max(axis=1)),
        "rows": len(test.labels),
        "classes": len(classes),
        "baseline_chance": 1 / len(classes),
        **baselines(test, train),
    }


def group_scores(
    test: Labeled, probabilities: np.ndarray, classes: list[str], train: Labeled, groups: dict[str, str]
) -> tuple[dict[str, Any], list[str]]:
    """Scores of the groups that a head's classes belong to, and the predicted group of each row.

    The predicted group is the group of the predicted class, so that both always agree; its confidence is the sum over
    the group's classes. (Predicting the group with the largest sum was equally accurate on the demo's validation
    split.)

    Args:
        groups: the group of each class.
    """
    names = sorted(set(groups.values()))
    predicted = [groups[name] for name in predicted_names(probabilities, classes)]
    member = np.array([[groups[name] == group for group in names] for name in classes], dtype=probabilities.dtype)
    confidence = (probabilities @ member)[np.arange(len(predicted)), [names.index(group) for group in predicted]]
    truth = test.translated(groups)
    scores = {
        **label_scores(truth.labels, predicted, confidence),
        "rows": len(predicted),
        "classes": len(names),
        "baseline_chance": 1 / len(names),
        **baselines(truth, train.translated(groups)),
    }
    return scores, predicted
