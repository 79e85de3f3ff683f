"""Scores of composed pictures: garments that were detected, labels that are right, and the right match first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stages.composed.pictures import NONE
from stages.contracts.boxes import Box, box_array, iou

HIT_IOU = 0.5  # smallest IoU at which a box is of a garment


@dataclass(frozen=True)
class Answer:
    """What the search says of a garment, against its truth.

    Attributes:
        superclass_right: the superclass is that of the label.
        labels_right, labels_known: heads whose most probable class is that of the label, of the heads that it knows.
        labels_majority: of these, heads of which the label is the commonest class of the training photos.
        right_first: the photo that the garment is from comes first.
        right_first_any_class: the same if garments of other classes compete, too.
        same_type_first: the first photo by another sender shows a garment of the same type.
        right_chance, same_type_chance: how probable these two are in a random order of the photos that compete.
    """

    superclass_right: bool
    labels_right: int
    labels_known: int
    labels_majority: int
    right_first: bool
    right_first_any_class: bool
    same_type_first: bool
    right_chance: float
    same_type_chance: float


@dataclass(frozen=True)
class Outcome:
    """A garment of a picture: the answer for the box that a person draws, and for the detected one (None: a miss)."""

    given_box: Answer
    detected: Answer | None


@dataclass(frozen=True)
class Result:
    """A picture with its answers.

    Attributes:
        kind: of the picture.
        outcomes: of its garments.
        boxes: how many were detected; those that are of no garment are false.
        whole: nothing was detected, and the picture has a single garment: the answer for the whole picture.
        trained: boxes of the trained detectors, and how many of them are of a garment.
    """

    kind: str
    outcomes: Sequence[Outcome]
    boxes: int
    whole: Answer | None = None
    trained: tuple[int, int] = (0, 0)


def paired(actual: Sequence[Box], detected: Sequence[Box], least: float = HIT_IOU) -> dict[int, int]:
    """Position of a garment -> position of the box that is of it.

    The boxes choose in their order, each the garment that it overlaps most among those that no box has chosen yet.

    Args:
        actual: boxes of garments.
        detected: boxes, most confident first.
        least: smallest IoU.
    """
    overlaps = iou(box_array(actual), box_array(detected))
    result: dict[int, int] = {}
    for position in range(len(detected)):
        free = [at for at in range(len(actual)) if at not in result]
        best = max(free, key=lambda at: overlaps[at, position], default=None)
        if best is not None and overlaps[best, position] >= least:
            result[best] = position
    return result


def share(right: float, rows: int) -> float:
    """``right`` of ``rows``; 0 without rows."""
    return right / rows if rows else 0.0


def _of(answers: Sequence[Answer], garments: int) -> dict[str, Any]:
    """What is right of some answers: shares of these answers, and of all garments."""
    right = sum(answer.right_first for answer in answers)
    same = sum(answer.same_type_first for answer in answers)
    labels, known = sum(answer.labels_right for answer in answers), sum(answer.labels_known for answer in answers)
    return {
        "answers": len(answers),
        "superclass": share(sum(answer.superclass_right for answer in answers), len(answers)),
        "labels_right": labels,
        "labels": share(labels, known),
        "labels_majority": share(sum(answer.labels_majority for answer in answers), known),
        "right_first": share(right, len(answers)),
        "right_first_chance": share(sum(answer.right_chance for answer in answers), len(answers)),
        "right_first_any_class": share(sum(answer.right_first_any_class for answer in answers), len(answers)),
        "right_first_count": right,
        "right_first_of_all": share(right, garments),
        "same_type_first": share(same, len(answers)),
        "same_type_first_chance": share(sum(answer.same_type_chance for answer in answers), len(answers)),
        "same_type_first_count": same,
        "same_type_first_of_all": share(same, garments),
    }


def scores_of(results: Sequence[Result]) -> dict[str, Any]:
    """Counts and shares of the pictures of one kind.

    ``given_box`` is of all garments, with the box that a person would draw; ``detected`` of those that were detected.
    Keys that end in ``of_all`` count a garment that was not detected as a miss.
    """
    outcomes = [outcome for result in results for outcome in result.outcomes]
    detected = [outcome.detected for outcome in outcomes if outcome.detected is not None]
    boxes = sum(result.boxes for result in results)
    empty = sum(result.boxes == 0 for result in results)
    trained, trained_hits = (sum(result.trained[at] for result in results) for at in (0, 1))
    scores: dict[str, Any] = {
        "pictures": len(results),
        "boxes": boxes,
        "boxes_per_picture": share(boxes, len(results)),
        "pictures_without_box": empty,
        "false_boxes": boxes - len(detected),
        "trained_detector": {"boxes": trained, "false_boxes": trained - trained_hits},
    }
    if not outcomes:
        return scores
    given = [outcome.given_box for outcome in outcomes]
    wholes = [result.whole for result in results if result.whole is not None]
    known = sum(answer.labels_known for answer in given)
    scores["trained_detector"] |= {
        "recall": share(trained_hits, len(outcomes)), "precision": share(trained_hits, trained),
    }  # fmt: skip
    return scores | {
        "garments": len(outcomes),
        "recall": share(len(detected), len(outcomes)),
        "precision": share(len(detected), boxes),
        "given_box": _of(given, len(outcomes)),
        "detected": _of(detected, len(outcomes))
        | {"labels_of_all": share(sum(answer.labels_right for answer in detected), known)},
        "whole_picture": {"pictures": len(wholes), "right_first_count": sum(answer.right_first for answer in wholes)},
    }


def metrics_of(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The numbers that a reviewer compares.

    Args:
        scores: kind -> ``scores_of`` of its pictures.
    """
    result: dict[str, dict[str, float]] = {}
    for kind, own in scores.items():
        if kind == NONE:
            result[kind] = {
                "pictures_without_box": share(own["pictures_without_box"], own["pictures"]),
                "trained_boxes": share(own["trained_detector"]["boxes"], own["pictures"]),
            }
            continue
        given, detected = own["given_box"], own["detected"]
        result[kind] = {
            "recall": own["recall"],
            "precision": own["precision"],
            "labels": detected["labels_of_all"],
            "labels_given_box": given["labels"],
            "right_first": detected["right_first_of_all"],
            "right_first_given_box": given["right_first"],
            "same_type_first": detected["same_type_first_of_all"],
            "trained_recall": own["trained_detector"]["recall"],
        }
    return result


def as_markdown(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """The scores as a Markdown table for pictures with garments, and a line for those without."""
    lines = [
        "| pictures | garments | recall | precision | labels: box given, of all (majority) "
        "| right match first: box given, of detected, of all (chance) "
        "| same type first: box given, of all (chance) | trained detector: recall, precision |",
        "| --- | ---: | ---: | ---: | --- | --- | --- | --- |",
    ]
    for kind, own in scores.items():
        if "garments" not in own:
            continue
        given, seen, trained = own["given_box"], own["detected"], own["trained_detector"]
        lines.append(
            f"| {own['pictures']} {kind} | {own['garments']} | {own['recall']:.3f} | {own['precision']:.3f} "
            f"| {given['labels']:.3f}, {seen['labels_of_all']:.3f} ({given['labels_majority']:.3f}) "
            f"| {given['right_first']:.3f}, {seen['right_first']:.3f}, {seen['right_first_of_all']:.3f} "
            f"({given['right_first_chance']:.3f}) "
            f"| {given['same_type_first']:.3f}, {seen['same_type_first_of_all']:.3f} "
            f"({given['same_type_first_chance']:.3f}) "
            f"| {trained['recall']:.3f}, {trained['precision']:.3f} |"
        )
    for kind, own in scores.items():
        if "garments" not in own:
            lines += [
                "",
                f"{own['pictures']} pictures of kind {kind}: {own['pictures_without_box']} without a box, "
                f"{own['boxes']} false boxes; {own['trained_detector']['boxes']} of the trained detector.",
            ]
    return "\n".join(lines)
