"""Score the second pass of stage `leakage` by the demo's ground truth. `make audit` prints the scores.

No drawn garment is in two splits, so leaks are planted: of half of the items of a benchmark, chosen by a hash, the
gallery's photos become training rows. The queries are the held-out rows: photos of the same items, with another pose,
wearer, background and light. The benchmark's own training rows stay, so that a pair may be wrong. The held-out rows of
the data set stay as they are: nothing leaked there, so each of them that is listed is a false alarm.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow.parquet as pq

from stages.benchmarks.params import UPSTREAM
from stages.contracts.tables import read_table, shard_paths, unit_hash
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import read_json
from stages.demo.truth import FILE
from stages.leakage.rows import Vectors, read_rows
from stages.leakage.same_item import LeakageParams, features, nearest

TRAINING, HELD_OUT = ("train", "val"), ("test",)
LEAKED = 0.5  # share of the items whose gallery photos become training rows
KINDS = ("wardrobe", "inshop", "consumer_to_shop", "pairs")  # of benchmarks whose rows show items
ALL = "all"
FALSE_ALARMS = 0.05  # the rule of `leakage.cosine`: the smallest of STEPS with at most this share of them
STEPS = tuple(round(0.01 * step, 2) for step in range(100))
SHOWN = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)


@dataclass(frozen=True)
class Nearest:
    """Held-out rows of a benchmark with planted leaks, and the training row that each looks most like.

    Attributes:
        cosine: float [n], of the pair.
        right: bool [n], both show the same item.
        leaked: bool [n], the item of the held-out row is among the training rows.
        random: float [n], share of the training rows with the item: the chance of a random row to be right.
    """

    cosine: np.ndarray
    right: np.ndarray
    leaked: np.ndarray
    random: np.ndarray


@dataclass(frozen=True)
class LeakScores:
    """What a threshold finds.

    Attributes:
        rows: held-out rows.
        leaked: rows whose item is among the training rows.
        listed: rows with a pair at or above the threshold.
        right: listed pairs that show the same item.
        alarms: listed rows whose item is not among the training rows.
        random: rows whose item a random training row would show, in expectation.
    """

    rows: int
    leaked: int
    listed: int
    right: int
    alarms: int
    random: float

    @property
    def precision(self) -> float:
        """Share of the listed pairs that show the same item; 0 of none."""
        return self.right / self.listed if self.listed else 0.0

    @property
    def recall(self) -> float:
        """Share of the leaked rows that are listed with their item; 0 of none."""
        return self.right / self.leaked if self.leaked else 0.0

    @property
    def false_alarms(self) -> float:
        """Share of the rows without a leak that are listed; 0 of none."""
        return self.alarms / (self.rows - self.leaked) if self.rows > self.leaked else 0.0

    @property
    def chance(self) -> float:
        """The expected precision of pairs with a random training row; 0 of none."""
        return self.random / self.rows if self.rows else 0.0


def planted(
    queries: Sequence[str | None], gallery: Sequence[str | None], share: float = LEAKED
) -> tuple[list[int], list[int]]:
    """Positions of the queries with a known item, and of the gallery rows that become training rows.

    Args:
        queries, gallery: the item of each row.
        share: of the items, by a hash of their name.
    """
    kept = [row for row, item in enumerate(gallery) if item is not None and unit_hash(item) < share]
    return [row for row, item in enumerate(queries) if item is not None], kept


def judge(pairs: Nearest, least: float) -> LeakScores:
    """Score the pairs with a cosine of at least ``least``."""
    listed = pairs.cosine >= least
    return LeakScores(
        rows=len(pairs.cosine),
        leaked=int(pairs.leaked.sum()),
        listed=int(listed.sum()),
        right=int((listed & pairs.right).sum()),
        alarms=int((listed & ~pairs.leaked).sum()),
        random=float(pairs.random.sum()),
    )


def smallest_threshold(pairs: Nearest, thresholds: Sequence[float], false_alarms: float) -> float | None:
    """The smallest threshold with at most this share of false alarms; None: there is none."""
    fitting = [least for least in sorted(thresholds) if judge(pairs, least).false_alarms <= false_alarms]
    return fitting[0] if fitting else None


def items_of(truth: Path) -> dict[str, str]:
    """Annotated item -> the physical garment, of a source.

    Raises:
        StageError: there is no ground truth.
    """
    if not (truth / FILE).is_file():
        raise StageError(
            f"{truth / FILE}: no ground truth. Only the demo has one: `make use PROFILE=demo && make repro`."
        )
    rows = read_table(truth / FILE, columns=["item", "instance"]).to_pylist()
    return {row["item"]: row["instance"] for row in rows if row["item"] is not None}


@dataclass
class Placed:
    """Rows of a table.

    Attributes:
        items: the garment of each row; None where the truth has none.
        places: of each row's vector.
    """

    items: list[str | None]
    places: list[int]

    def take(self, rows: Sequence[int]) -> "Placed":
        """Some of the rows."""
        return Placed([self.items[row] for row in rows], [self.places[row] for row in rows])


def compare(queries: Placed, gallery: Placed, training: Placed, vectors: np.ndarray) -> Nearest:
    """Plant the leaks and find the nearest training row of each query.

    Args:
        vectors: of all rows, see ``stages.leakage.rows``.
    """
    asked, leaked = planted(queries.items, gallery.items)
    added = gallery.take(leaked)
    items, places = added.items + training.items, added.places + training.places
    own = queries.take(asked)
    positions, cosines = nearest(np.array(own.places, np.int64), np.array(places, np.int64), vectors)
    counts: Counter[str | None] = Counter(item for item in items if item is not None)
    return Nearest(
        cosine=cosines.astype(np.float64),
        right=np.array([at >= 0 and items[at] == item for at, item in zip(positions, own.items, strict=True)], bool),
        leaked=np.array([item in counts for item in own.items], bool),
        random=np.array([counts[item] / max(1, len(items)) for item in own.items], float),
    )


def joined(benchmarks: Sequence[Nearest]) -> Nearest:
    """The rows of all benchmarks."""
    names = ("cosine", "right", "leaked", "random")
    return Nearest(*(np.concatenate([getattr(benchmark, name) for benchmark in benchmarks]) for name in names))


def placed(
    paths: Sequence[Path], key: str, splits: Sequence[str], items: Mapping[str, str], vectors: Vectors
) -> Placed:
    """The rows of some tables that are in one of ``splits``: the garment of each, and the place of its vector.

    Args:
        key: column of the row's name.
        splits: with one split, tables without a column ``split`` are of this split.
        items: name of a row -> its garment.
    """
    result = Placed([], [])
    for path in paths:
        given = None if "split" in pq.read_schema(path).names else splits[0]
        for rows in read_rows(path, key, given):
            kept = [row for row in rows if row.split in splits]
            result.items += [items.get(row.name) for row in kept]
            result.places += vectors.add([row.data for row in kept])
    return result


def measure(data: Path, drawn: Sequence[str], benchmarks: Sequence[str], params: LeakageParams) -> dict[str, Nearest]:
    """Benchmark -> its held-out rows with planted leaks, of those whose rows show drawn items; ``dataset`` -> its own.

    Args:
        data: the profile's data folder.
        drawn: sources with a ground truth.
        benchmarks: names.

    Raises:
        StageError: the ground truth or a stage's output is missing.
    """
    seed_everything(0)
    with TemporaryDirectory() as scratch:
        vectors = Vectors(Path(scratch), features(params))
        shards = shard_paths(data / "dataset")
        crops = {
            f"{source}:{item}": f"{source}/{garment}"
            for source in drawn
            for item, garment in items_of(data / "truth" / source).items()
        }
        training = placed(shards, "crop_id", TRAINING, crops, vectors)
        rows = {"dataset": (placed(shards, "crop_id", HELD_OUT, crops, vectors), Placed([], []), training)}
        for name in benchmarks:
            folder = data / "benchmarks" / name
            about = read_json(folder / "benchmark.json")
            if about["kind"] not in KINDS or about["source"] not in drawn:
                continue
            tables = [folder / f"{table}.parquet" for table in ("queries", "gallery")]
            if about["kind"] in UPSTREAM:
                items = items_of(data / "truth" / about["source"])
                own = placed([folder / "train.parquet"], "row_id", TRAINING, items, vectors)
            else:  # its rows are crops of the data set
                items, own = crops, training
            queries, gallery = (placed([path], "row_id", HELD_OUT, items, vectors) for path in tables)
            rows[name] = queries, gallery, own
        prepared = vectors.read()
        return {name: compare(*tables, prepared) for name, tables in rows.items()}


def as_markdown(measured: Mapping[str, Nearest], least: float) -> str:
    """A table, a row for each benchmark and one for all, and a table of other thresholds.

    Args:
        measured: of ``measure``.
        least: the threshold, `leakage.cosine`.
    """
    everything = joined(list(measured.values()))
    fitting = smallest_threshold(everything, STEPS, FALSE_ALARMS)
    head = "held-out rows | leaked | listed | precision | recall | false alarms | random |"
    rule = "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    return "\n".join(
        [
            f"Garments photographed anew (stage `leakage`): {LEAKED:.0%} of the items are planted among the training",
            f"rows. Pairs with a cosine of {least} or more, beside pairs with a random training row:",
            "",
            f"| benchmark | {head}",
            rule,
            *(f"| {name} | {cells(judge(pairs, least))} |" for name, pairs in [*measured.items(), (ALL, everything)]),
            "",
            f"Other thresholds; {fitting} is the smallest with at most {FALSE_ALARMS:.0%} of false alarms:",
            "",
            f"| cosine | {head}",
            rule,
            *(f"| {threshold} | {cells(judge(everything, threshold))} |" for threshold in SHOWN),
            f"| any | {cells(judge(everything, -1))} |",
        ]
    )


def cells(score: LeakScores) -> str:
    """The cells of a row after its name."""
    shares = (score.precision, score.recall, score.false_alarms, score.chance)
    return " | ".join([*map(str, (score.rows, score.leaked, score.listed)), *(f"{share:.1%}" for share in shares)])
