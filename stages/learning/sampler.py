"""Which rows a training step sees. The batches of an epoch follow from the seed and the epoch's number alone, so a
resumed training draws what an unbroken one draws, without any state to keep."""

import numpy as np
import torch

Batches = list[torch.Tensor]


def epoch_generator(seed: int, epoch: int) -> np.random.Generator:
    """Random numbers of one epoch of one training."""
    return np.random.default_rng([seed, epoch])


def shuffled_batches(rows: np.ndarray, batch: int, draw: np.random.Generator) -> Batches:
    """Every row once in random order; the last rows that fill no batch are left out, unless there is no other batch."""
    order = draw.permutation(rows)
    whole = len(order) - len(order) % batch if len(order) >= batch else len(order)
    return [torch.from_numpy(order[start : start + batch]) for start in range(0, whole, batch)]


def batches_in_order(count: int, batch: int) -> Batches:
    """All of ``count`` rows in their order, the last batch as small as it comes: validation leaves none out."""
    return list(torch.arange(count).split(batch))


def pk_batches(
    labels: np.ndarray, groups: np.ndarray, batch: int, per_label: int, draw: np.random.Generator
) -> Batches:
    """Batches with up to ``per_label`` rows (K) of each of about batch / K labels (P), balanced over groups.

    The groups take turns; a turn draws the group's next label, and K of its rows without repeating one (fewer when it
    has fewer). Hermans et al. 2017 call this PK sampling.

    Args:
        labels: int64 [n], what shall lie close together (items or categories); -1 = not known: the row stands alone
            and serves as a negative.
        groups: int64 [n], what is balanced (categories); a label's rows should share their group.
        batch: rows of a batch, exactly; the last label of a batch may be cut short.
        per_label: K.

    Returns:
        n // batch batches (at least one, of n rows, when there are fewer rows than a batch).
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
            if len(seen) == len(members):  # every label is in: the rows that are left fill the batch
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
