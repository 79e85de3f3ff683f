"""Training and validation examples, in one form from the data set and from a benchmark's own train split.

Batches are the rows of training steps. The batches of an epoch depend on the seed and the epoch's number alone, so that
a resumed training draws the same ones without storing any state.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch

from stages.contracts.tables import BENCHMARK_TRAIN, iter_shards, read_table, shard_paths, unit_hash
from stages.core.errors import StageError, shown
from stages.core.heads import HEADS
from stages.encoders.recipes import LearnsFrom

Batches = list[torch.Tensor]


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Random numbers of one epoch of one training."""
    return np.random.default_rng([seed, epoch])


def shuffled_batches(rows: np.ndarray, batch: int, draw: np.random.Generator) -> Batches:
    """Every row once in random order; an incomplete last batch is left out, unless it is the only one."""
    order = draw.permutation(rows)
    kept = len(order) - len(order) % batch if len(order) >= batch else len(order)
    return [torch.from_numpy(order[start : start + batch]) for start in range(0, kept, batch)]


def batches_in_order(count: int, batch: int) -> Batches:
    """All of ``count`` rows in order; the last batch may be smaller, as validation leaves no row out."""
    return list(torch.arange(count).split(batch))


def pk_batches(
    labels: np.ndarray, groups: np.ndarray, batch: int, per_label: int, draw: np.random.Generator
) -> Batches:
    """Batches with up to ``per_label`` rows (K) of each of about batch / K labels (P), balanced over groups.

    The groups take turns. A turn draws the group's next label, and K of its rows without repetition (or all of fewer).
    Hermans et al. 2017 call this PK sampling.

    Args:
        labels: int64 [n], the labels whose rows must get close (items or categories); -1 = not known: the row is a
            label of its own, a negative for all others.
        groups: int64 [n], the groups to balance (categories); all rows of a label should have the same group.
        batch: exact number of rows in a batch; the last label of a batch may have fewer than K.
        per_label: K.

    Returns:
        n // batch batches, or a single one of n rows when there are fewer rows than a batch.
    """
    batch = min(batch, len(labels))
    alone = labels < 0
    own = np.where(alone, labels.max(initial=-1) + 1 + np.arange(len(labels)), labels)
    members: dict[int, np.ndarray] = _rows_by(own)
    label_group = {label: int(groups[rows[0]]) for label, rows in members.items()}
    waiting: dict[int, list[int]] = {}
    of_group: dict[int, list[int]] = {}
    for label, group in label_group.items():
        of_group.setdefault(group, []).append(label)
    turns: list[int] = []
    batches = []
    for _ in range(max(len(labels) // batch, 1)):
        chosen: list[int] = []
        seen: set[int] = set()
        while len(chosen) < batch:
            if len(seen) == len(members):  # the batch has every label: other rows fill it
                rest = np.setdiff1d(np.arange(len(labels)), chosen)
                chosen += draw.permutation(rest)[: batch - len(chosen)].tolist()
                break
            if not turns:
                turns = draw.permutation(sorted(of_group)).tolist()
            group = turns.pop()
            if not waiting.get(group):
                waiting[group] = draw.permutation(of_group[group]).tolist()
            label = waiting[group].pop()
            if label in seen:
                continue
            seen.add(label)
            rows = draw.permutation(members[label])[: min(per_label, batch - len(chosen))]
            chosen += rows.tolist()
        batches.append(torch.tensor(chosen, dtype=torch.int64))
    return batches


def _rows_by(labels: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(labels, kind="stable")
    names, starts = np.unique(labels[order], return_index=True)
    return dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))


@dataclass(frozen=True)
class Examples:
    """Aligned columns of one split, sorted by id.

    Attributes:
        ids: unique strings [n].
        data: JPEG bytes [n].
        items, categories: strings or None [n]; None = not known.
        labels: lists of strings [n].
    """

    ids: list[str]
    data: list[bytes]
    items: np.ndarray
    categories: np.ndarray
    labels: list[list[str]]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Examples":
        """The examples at integer positions ``rows``."""
        return Examples(
            [self.ids[row] for row in rows],
            [self.data[row] for row in rows],
            self.items[rows],
            self.categories[rows],
            [self.labels[row] for row in rows],
        )


def input_files(source: LearnsFrom, folder: Path) -> list[Path]:
    """The files that ``read_examples`` reads."""
    return shard_paths(folder) if source.table == "dataset" else [folder / "train.parquet"]


def read_examples(source: LearnsFrom, folder: Path) -> tuple[Examples, Examples]:
    """Training and validation examples.

    Args:
        folder: of the data set, or of the benchmark that ``source`` names.

    Raises:
        StageError: missing or wrong table, an empty split, an id twice in a split, or an item in both splits.
    """
    if folder.name != source.table:
        raise StageError(
            f"{folder} is not the table {source.table!r} of `learns_from`: params.yaml's `trains` is of other recipes. "
            "Run `make use PROFILE=...` (KEEP=1 keeps edits of params.yaml)."
        )
    if source.table == "dataset":
        frame, where = _from_dataset(source, folder), folder
    else:
        where = folder / "train.parquet"
        frame = _from_benchmark(where)
    train, val = (_split(frame, split, limit) for split, limit in
                  (("train", source.max_train), ("val", source.max_val)))  # fmt: skip
    if not len(train) or not len(val):
        raise StageError(
            f"{where}: {len(train)} training and {len(val)} validation rows; an encoder needs both. "
            "Give it more data, or learn from another table (`learns_from.table`)."
        )
    if both := set(train.items) & set(val.items) - {None}:
        raise StageError(f"{where}: items in train and in val: {shown(both)}. Split by item, then run `dvc repro`.")
    return train, val


def _from_dataset(source: LearnsFrom, folder: Path) -> pd.DataFrame:
    if wrong := set(source.labels) - set(HEADS):
        raise StageError(f"params.yaml: `learns_from.labels` has {shown(wrong)}, expected some of: {shown(HEADS)}.")
    columns = ["crop_id", "split", "source", "instance", "colorway", source.category, *source.labels, "bytes"]
    shards = iter_shards(folder, list(dict.fromkeys(columns)))
    frame = pa.concat_tables([shard.filter(pc.field("split") != "test") for shard in shards]).to_pandas()
    group_columns = [frame["source"], frame["instance"]]
    if source.same_colorway:
        group_columns.append(frame["colorway"])
    item = group_columns[0].str.cat(group_columns[1:], sep="/")  # null if any of them is null
    heads = {head: list(frame[head]) for head in source.labels}
    labels = [
        [f"{head}={values[row]}" for head, values in heads.items() if isinstance(values[row], str)]
        for row in range(len(frame))
    ]
    return pd.DataFrame(
        {"row_id": frame["crop_id"], "split": frame["split"], "item": item, "category": frame[source.category],
         "labels": pd.Series(labels, dtype=object), "bytes": frame["bytes"]}
    )  # fmt: skip


def _from_benchmark(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise StageError(
            f"{path}: no such file. `learns_from.table` must be `dataset` or a benchmark of the list `benchmarks` "
            "that has a train split; run `dvc repro` after adding it."
        )
    table = read_table(path, BENCHMARK_TRAIN)
    if table["bytes"].null_count:
        raise StageError(f"{path}: {table['bytes'].null_count} rows have no picture. Run `dvc repro`.")
    frame = table.to_pandas()
    frame["labels"] = [[] if labels is None else list(labels) for labels in frame["labels"]]
    return frame


def _split(frame: pd.DataFrame, split: str, limit: int | None) -> Examples:
    """Rows of one split by id; with a limit those whose ids have the lowest hashes, whatever other rows there are."""
    rows = frame[frame["split"] == split]
    if limit is not None and len(rows) > limit:
        rows = rows.loc[rows["row_id"].map(unit_hash).sort_values(kind="stable").index[:limit]]
    rows = rows.sort_values("row_id", ignore_index=True)
    if rows["row_id"].duplicated().any():
        raise StageError(f"row ids found twice in split {split}: {shown(rows['row_id'][rows['row_id'].duplicated()])}.")
    known = {name: np.array([value if isinstance(value, str) else None for value in rows[name]], object)
             for name in ("item", "category")}  # fmt: skip
    return Examples(list(rows["row_id"]), list(rows["bytes"]), known["item"], known["category"], list(rows["labels"]))


def codes(values: np.ndarray, names: list[str]) -> np.ndarray:
    """int64 positions of ``values`` in ``names``; -1 for None and for other values."""
    position = {name: number for number, name in enumerate(names)}
    return np.array([position.get(value, -1) for value in values], np.int64)


def vocabulary(values: np.ndarray) -> list[str]:
    """The known values, sorted."""
    return sorted({value for value in values if value is not None})
