"""Check that no trivial feature solves a head: two weak classifiers with almost no information try every head.

Usage: python -m stages.run shortcut_check

One classifier gets the mean color of the garment's pixels, the other its silhouette. A feature solves a head if its
balanced accuracy is at least half way from chance to 1: a good score of a model would then be due to the feature more
than to anything else. Mean color may solve color, the silhouette type and gender. Each head is tried on garments of the
source that it learns from: fabric and pattern on DeepFashion-MultiModal's, the others on Fashion Products'.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupShuffleSplit

from stages.core.heads import HEAD
from stages.demo.drawing.garments import Garment
from stages.demo.drawing.photo import Photo
from stages.demo.sources.deepfashion_mm import choose_item
from stages.demo.sources.fashion_products import ARTICLES, choose_garment, product_photo
from stages.demo.sources.shared import rng_for
from stages.demo.truth import TRUTH, labels_of

# Head -> the source whose garments are used.
SOURCE_OF_HEAD = {head.name: head.policy for head in HEAD.values() if head.name in TRUTH.names}
LAYERS = (
    "upper",
    "upper",
    "lower",
    "lower",
    "outer",
    "dress",
)  # of DeepFashion-MultiModal's garments, as often as here
# Feature -> the heads that it may solve, as they describe the feature.
OWN_HEADS = {"mean color": {"color"}, "silhouette": {"type", "gender"}}
SIZE = (72, 96)  # pixels of a photo
SIDE = 16  # cells of a silhouette in each direction
USAGES = {"Casual": 1, "Sports": 1, "Ethnic": 1, "Formal": 1}  # equally frequent, so that chance is the same for each
SEED = 0


@dataclass(frozen=True)
class View:
    """One garment in one photo.

    Attributes:
        garment: number of the garment, all of whose photos are on one side of the split.
        worn: by a person, or laid flat.
        color: float [3], mean of its visible pixels, 0..255.
        histogram: float [64], shares of its visible pixels in 4 x 4 x 4 cells of RGB.
        silhouette: float [16 * 16], covered share of each cell of its box.
        labels: the true class of each head; None where color has none.
    """

    garment: int
    worn: bool
    color: np.ndarray
    histogram: np.ndarray
    silhouette: np.ndarray
    labels: dict[str, str | None]


@dataclass(frozen=True)
class Score:
    """Scores of one feature on one head, on garments that were not used in training."""

    feature: str
    head: str
    classes: int
    majority: float
    accuracy: float
    balanced: float

    @property
    def chance(self) -> float:
        """Balanced accuracy of a constant prediction."""
        return 1 / self.classes

    @property
    def bound(self) -> float:
        """Half way from chance to 1."""
        return (1 + self.chance) / 2

    @property
    def may_solve(self) -> bool:
        """Whether the head describes this feature."""
        return self.head in OWN_HEADS[self.feature]


def view_of(number: int, category: str, photo: Photo) -> View:
    """Features of a photo's first garment, from the canvas's map of owners."""
    garment: Garment = photo.garments[0]
    mask = photo.owners == 1
    pixels = np.asarray(photo.image)[mask].astype(np.int64)
    x0, y0, x1, y1 = photo.boxes[0]
    silhouette = Image.fromarray((mask * np.uint8(255))[y0:y1, x0:x1]).resize((SIDE, SIDE), Image.Resampling.BOX)
    cells = (pixels // 64) @ np.array([16, 4, 1])
    return View(
        number,
        photo.view != "flat",
        pixels.mean(axis=0),
        np.bincount(cells, minlength=64) / len(cells),
        np.asarray(silhouette, dtype=np.float64).reshape(-1) / 255,
        labels_of(garment, category),
    )


def draw_views(source: str, count: int) -> list[View]:
    """So many garments as a source draws them, each worn and flat."""
    views = []
    for number in range(count):
        rng = rng_for(SEED, "shortcuts", source, number)
        category, garment = _garment(rng, source)
        for worn_percent in (100, 0):
            photo = product_photo(rng, SIZE, garment, worn_percent)
            if (photo.owners == 1).any():
                views.append(view_of(number, category, photo))
    return views


def _garment(rng: Random, source: str) -> tuple[str, Garment]:
    """A garment and the name of its category; categories of Fashion Products are equally frequent."""
    if source == "fashion_products":
        article = rng.choice(list(ARTICLES))
        return article, choose_garment(rng, USAGES, article)
    item = None
    while item is None:  # no dresses for men
        item = choose_item(rng, rng.choice(("Men", "Women", "Women")), rng.choice(LAYERS), set())
    return item


def score(views: list[View], feature: str, head: str) -> Score:
    """Train one classifier on 70 % of the garments, test it on the others."""
    views = [view for view in views if view.labels[head] is not None]
    inputs = np.stack([view.color if feature == "mean color" else view.silhouette for view in views])
    labels = np.array([view.labels[head] for view in views])
    groups = [view.garment for view in views]
    train, test = next(GroupShuffleSplit(1, test_size=0.3, random_state=SEED).split(inputs, labels, groups))
    model = RandomForestClassifier(100, min_samples_leaf=2, class_weight="balanced", random_state=SEED)
    answers = model.fit(inputs[train], labels[train]).predict(inputs[test])
    _, counts = np.unique(labels[test], return_counts=True)
    return Score(
        feature,
        head,
        len(counts),
        counts.max() / counts.sum(),
        float((answers == labels[test]).mean()),
        float(balanced_accuracy_score(labels[test], answers)),
    )


def scores(garments: int) -> list[Score]:
    """Every feature at every head, on so many garments of each source."""
    views = {source: draw_views(source, garments) for source in sorted(set(SOURCE_OF_HEAD.values()))}
    return [score(views[source], feature, head) for feature in OWN_HEADS for head, source in SOURCE_OF_HEAD.items()]


def as_markdown(scores: list[Score]) -> str:
    """The scores as a table."""
    lines = [
        "| feature | head | classes | chance | majority | accuracy | balanced accuracy | not solved below | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in scores:
        verdict = "its own" if row.may_solve else "not solved" if row.balanced < row.bound else "SOLVED"
        numbers = (row.chance, row.majority, row.accuracy, row.balanced, row.bound)
        lines.append(
            f"| {row.feature} | {row.head} | {row.classes} | {' | '.join(f'{n:.2f}' for n in numbers)} | {verdict} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    print(as_markdown(scores(1200)))
