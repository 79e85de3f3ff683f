"""The plan of a benchmark: which picture, or which box in it, becomes which row."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stages.contracts.boxes import Box, box_of
from stages.contracts.tables import read_shards, read_table
from stages.core.errors import StageError, shown

IMAGE_COLUMNS = ["image_id", "split", "sha256", "cluster"]


@dataclass(frozen=True)
class Pick:
    """One row of a benchmark before its picture is cropped.

    Attributes:
        image_id: of an image of a source or a crop of the data set; None: nothing was detected, and the row has no
            picture.
        box: the part to crop, in pixels of the stored image; None: the whole image.
        split: of a training row, train or val.
        missed: why a query has no picture.
        repeats: the image on the other side of the split that it nearly repeats; None: there is none.
    """

    row_id: str
    item: str | None
    category: str | None
    image_id: str | None
    box: Box | None = None
    detected_class: str | None = None
    labels: tuple[str, ...] = ()
    split: str = ""
    missed: str = ""
    repeats: str | None = None


@dataclass
class Plan:
    """Queries, gallery and training rows.

    Attributes:
        left_out: reason -> number of upstream's rows that are in none of the three tables.
        about: further content of benchmark.json.
        inventory: content of the tables that it was chosen from, for error messages.
    """

    queries: list[Pick] = field(default_factory=list)
    gallery: list[Pick] = field(default_factory=list)
    train: list[Pick] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    about: dict[str, Any] = field(default_factory=dict)
    inventory: str = ""

    @property
    def missed(self) -> dict[str, int]:
        """Reason why queries have no picture -> their number."""
        return dict(sorted(Counter(pick.missed for pick in self.queries if pick.missed).items()))

    @property
    def without_match(self) -> int:
        """Queries with no correct row in the gallery; the query itself does not count."""
        rows: dict[str | None, set[str]] = {}
        for pick in self.gallery:
            rows.setdefault(pick.item, set()).add(pick.row_id)
        return sum(not (rows.get(pick.item, set()) - {pick.row_id}) for pick in self.queries)

    def separate(self) -> None:
        """Remove training rows whose item is a query's or in the gallery, and train rows whose item is in val."""
        test = {pick.item for pick in (*self.queries, *self.gallery)} - {None}
        val = {pick.item for pick in self.train if pick.split == "val"} - {None}
        kept = [pick for pick in self.train if pick.item not in test]
        kept = [pick for pick in kept if pick.split == "val" or pick.item not in val]
        if len(kept) < len(self.train):
            self.left_out["train: item is held out"] += len(self.train) - len(kept)
        self.train = kept

    def mark_repeats(self, clusters: dict[str, str]) -> None:
        """Mark queries and gallery rows that nearly repeat a picture on the other side of the split.

        The other side of queries is the training rows. The other side of gallery rows is the training rows, too, unless
        they are training rows themselves: then it is the queries.

        Args:
            clusters: image_id -> its cluster of near duplicates.
        """
        teaching, asking = ({pick.image_id for pick in picks} - {None} for picks in (self.train, self.queries))
        of_training, of_queries = (
            {clusters[name]: name for name in sorted(side, reverse=True)} for side in (teaching, asking)
        )

        def marked(pick: Pick) -> Pick:
            if pick.image_id is None:  # not detected: it keeps the mark that it got before detection
                return pick if pick.repeats in teaching else replace(pick, repeats=None)
            opposite = of_queries if pick.image_id in teaching else of_training
            return replace(pick, repeats=opposite.get(clusters[pick.image_id]))

        self.queries, self.gallery = ([marked(pick) for pick in picks] for picks in (self.queries, self.gallery))

    def check(self, name: str) -> None:
        """Refuse a benchmark that measures nothing.

        Raises:
            StageError: without queries, gallery or a match; with repeated row ids.
        """
        for what, picks in (("query", self.queries), ("gallery row", self.gallery)):
            if not picks:
                raise StageError(
                    f"benchmark.{name}: no {what}. Found {self.inventory}. Change benchmark.{name} to fit."
                )
        for picks in (self.queries, self.gallery, self.train):
            counts = Counter(pick.row_id for pick in picks)
            if twice := [row_id for row_id, count in counts.items() if count > 1]:
                raise StageError(f"benchmark.{name}: row ids must be unique, found twice: {shown(twice)}.")
        if self.without_match == len(self.queries):
            raise StageError(
                f"benchmark.{name}: none of {len(self.queries)} queries has a correct row in the gallery of "
                f"{len(self.gallery)}. Found {self.inventory}. Change benchmark.{name} to fit."
            )


@dataclass(frozen=True)
class Source:
    """An ingested source without its pictures.

    Attributes:
        splits: image_id -> split, of the images that passed.
        digests: image_id -> sha256 of the file.
        clusters: image_id -> its cluster of near duplicates.
        items: rows as the reader wrote them.
        objects: rows of OBJECTS.
    """

    name: str
    splits: dict[str, str]
    digests: dict[str, str]
    clusters: dict[str, str]
    items: list[dict[str, Any]]
    objects: list[dict[str, Any]]

    def boxes(self, which: str) -> dict[str, Box]:
        """image_id -> its box, as ``benchmark.boxes`` asks; empty for ``whole``. An image without a box is used whole.

        Raises:
            StageError: boxes are asked for and no image has one.
        """
        if which != "whole" and not self.objects:
            raise StageError(
                f"source {self.name} has no boxes, so `boxes: {which}` is impossible. Put upstream's list of boxes "
                "where docs/datasets.md shows it, or take whole pictures (`boxes: whole`)."
            )
        return {} if which == "whole" else {row["image_id"]: box_of(row) for row in self.objects}

    @property
    def inventory(self) -> str:
        """Content of the source, for error messages."""
        counts = Counter(self.splits.values())
        return f"source {self.name}: {', '.join(f'{count} {split}' for split, count in sorted(counts.items()))} images"


def read_source(folder: Path, columns: Iterable[str]) -> Source:
    """The tables of an ingested source.

    Raises:
        StageError: it was not ingested, or its items lack one of ``columns``.
    """
    if not folder.is_dir():
        present = shown(path.name for path in folder.parent.iterdir()) if folder.parent.is_dir() else "nothing"
        raise StageError(
            f"{folder}: no such folder. Ingested are: {present}. List {folder.name} in `sources`, run `dvc repro`."
        )
    images = read_shards(folder, IMAGE_COLUMNS)
    items = read_table(folder / "items.parquet")
    if missing := set(columns) - set(items.column_names):
        raise StageError(
            f"{folder / 'items.parquet'}: no column {shown(missing)}; it has {shown(items.column_names)}. Another "
            f"reader read source {folder.name}: change `source` of the benchmark, or `reader` of the source."
        )
    ids = images["image_id"].to_pylist()
    return Source(
        folder.name,
        dict(zip(ids, images["split"].to_pylist(), strict=True)),
        dict(zip(ids, images["sha256"].to_pylist(), strict=True)),
        dict(zip(ids, images["cluster"].to_pylist(), strict=True)),
        items.to_pylist(),
        read_table(folder / "objects.parquet").to_pylist(),
    )
