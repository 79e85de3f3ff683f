"""Score the suggestions of stage `suspects` by the demo's ground truth. `make audit` prints the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from stages.contracts.tables import read_shards, read_table
from stages.core.errors import StageError
from stages.core.heads import HEADS
from stages.demo.truth import FILE, TRUTH


@dataclass(frozen=True)
class HeadScores:
    """How well the suggestions for one head find its wrong labels.

    Attributes:
        rows: labeled crops.
        wrong: labels that the truth contradicts: the planted errors that stay, and what the policies got wrong.
        listed: suggestions.
        first: how many suggestions are looked at: as many as there are wrong labels, or all.
        hits: wrong labels among these.
        mended: of these, suggestions whose value is the right score.
    """

    rows: int
    wrong: int
    listed: int
    first: int
    hits: int
    mended: int

    @property
    def precision(self) -> float:
        """Share of wrong labels among the first suggestions; 0 of none."""
        return self.hits / self.first if self.first else 0.0

    @property
    def recall(self) -> float:
        """Share of the wrong labels that the first suggestions name; 0 of none."""
        return self.hits / self.wrong if self.wrong else 0.0

    @property
    def chance(self) -> float:
        """The expected precision of a random list: wrong labels of all."""
        return self.wrong / self.rows if self.rows else 0.0


def judge(
    labels: Mapping[str, str], truth: Mapping[str, str | None], suggestions: Sequence[tuple[str, str]]
) -> HeadScores:
    """Score the first N suggestions of a head, where N is the number of its wrong labels.

    Args:
        labels: crop -> its label.
        truth: crop -> what it shows.
        suggestions: crop and value, the most certain first.
    """
    wrong = {crop for crop, label in labels.items() if label != truth[crop]}
    first = suggestions[: len(wrong)]
    hits = [(crop, value) for crop, value in first if crop in wrong]
    mended = sum(value == truth[crop] for crop, value in hits)
    return HeadScores(len(labels), len(wrong), len(suggestions), len(first), len(hits), mended)


def measure(data: Path, sources: Sequence[str]) -> dict[str, HeadScores]:
    """Head -> how well the table of suspects finds its wrong labels.

    Args:
        data: the profile's data folder.
        sources: label sources that the demo has drawn; suspects of others are left out.

    Raises:
        StageError: when the table is not there.
    """
    path = data / "suspects" / "suspects.csv"
    if not path.is_file():
        raise StageError(f"{path}: no such file. It is made by a stage: run `dvc repro suspects`.")
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    garments = {
        f"{source}:{row['item']}": row
        for source in sources
        for row in read_table(data / "truth" / source / FILE).to_pylist()
        if row["item"] is not None
    }
    crops = read_shards(data / "dataset", ["crop_id", *HEADS]).to_pylist()
    result = {}
    for head in (name for name in HEADS if name in TRUTH.names):
        labels = {row["crop_id"]: row[head] for row in crops if row["crop_id"] in garments and row[head] is not None}
        own = table[(table["head"] == head) & table["crop_id"].isin(list(garments))]
        truth = {crop: garments[crop][head] for crop in labels}
        result[head] = judge(labels, truth, list(zip(own["crop_id"], own["suggestion"], strict=True)))
    return result


def as_markdown(scores: Mapping[str, HeadScores]) -> str:
    """A table, a row for each head that has wrong labels, and a line about the others."""
    lines = [
        "Labels that are probably wrong (stage `suspects`): the first N suggestions of each head, N its number of",
        "wrong labels, beside a random list:",
        "",
        "| head | labels | wrong (N) | suggestions | precision of N | recall of N | random | right value suggested |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for head, score in scores.items():
        if score.wrong:
            shares = (score.precision, score.recall, score.chance)
            cells = [head, score.rows, score.wrong, score.listed, *(f"{share:.1%}" for share in shares)]
            lines.append(f"| {' | '.join(map(str, cells))} | {score.mended} of {score.hits} |")
    if right := [f"{score.listed} of {head}" for head, score in scores.items() if score.rows and not score.wrong]:
        lines += ["", f"Heads without a wrong label, so that every suggestion is a mistake: {', '.join(right)}."]
    return "\n".join(lines)
