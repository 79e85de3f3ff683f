"""What a source holds, counted by its own reader: labels, groups and splits, without decoding a picture."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.contracts.ledger import Account
from stages.contracts.tables import HEADS, SPLITS
from stages.core.errors import StageError
from stages.core.params import section
from stages.ingest.ingest import READERS
from stages.ingest.reading import IngestParams, Reading, Request
from stages.ingest.splitting import decide_splits
from stages.labels.labels import POLICIES
from stages.labels.merging import read_label_tables
from stages.labels.params import LabelParams
from stages.profiles.compose import members


@dataclass
class Measured:
    """A source as its reader sees it.

    Attributes:
        images: split -> images in it, as ingest will give them unless near duplicates move some.
        items: (label, split) of every labeled item.
        upstream: whether the splits are upstream's own.
        shared: whether upstream has no test split of its own: a share of its train is our val.
        several: whether an image has more than one item.
        box_classes: class -> boxes of it.
        boxed: split -> boxes in it.
        rejected: reason -> rows that the reader rejects.
        heads: of the classifier: those for which labels have two classes.
    """

    account: Account
    images: Counter
    items: list[tuple[str, str]]
    groups: dict[str, list[str]]
    upstream: bool
    shared: bool
    several: bool
    box_classes: Counter
    boxed: Counter
    rejected: Counter
    heads: list[str]

    def by_label(self) -> dict[str, Counter]:
        """Label -> split -> items."""
        found: dict[str, Counter] = defaultdict(Counter)
        for label, split in self.items:
            found[label][split] += 1
        return dict(sorted(found.items()))


def measure(
    source: str, root: Path, annotations: Path, tables: Path, tree: dict[str, Any], label: str | None
) -> Measured:
    """Run the reader of a source and count what it finds.

    Args:
        tree: the profile over its base, as ``over_base`` gives it.
        label: the items' label column; None where a policy of the reader's own knows.

    Raises:
        StageError: as the reader; it finds no usable image.
    """
    options = section(IngestParams, f"ingest.{source}", {"ingest": members("ingest", tree["ingest"])})
    account = Account(source)
    reading = READERS[options.reader](Request(source, root, annotations, tables, options, account))
    if not reading.images:
        raise StageError(f"{root}: no usable image ({'; '.join(account.lines()) or 'nothing found'}).")
    files = sorted(reading.images, key=lambda file: file.image_id)
    splits, _ = decide_splits(files, {file.image_id: file.image_id for file in files})
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[file.group or file.image_id].append(file.image_id)
    heads = ["type"]
    if options.items_from_boxes:
        pairs = [(row["image_id"], row["class_name"]) for row in reading.objects]
    elif label is not None:
        pairs = [(row["image_id"], row[label]) for row in reading.items]
    else:
        pairs, heads = _by_policy(source, reading, splits, tables, tree)
    members_of = Counter(image for image, _ in pairs)
    return Measured(
        account,
        Counter(splits.values()),
        [(name.strip(), splits[image]) for image, name in pairs],
        groups,
        any(file.split for file in files),
        any(file.ours for file in files),
        any(count > 1 for count in members_of.values()),
        Counter(row["class_name"] for row in reading.objects),
        Counter(splits[row["image_id"]] for row in reading.objects),
        Counter(reject.reason for ledger in account.ledgers.values() for reject in ledger.rejects),
        heads,
    )


def _by_policy(
    source: str, reading: Reading, splits: dict[str, str], tables: Path, tree: dict[str, Any]
) -> tuple[list[tuple[str, str]], list[str]]:
    """(image, type) of the items that the source's label policy keeps, and the heads that can be taught."""
    params = section(LabelParams, "labels", tree)
    groups = {file.image_id: file.group or file.image_id for file in reading.images}
    items = pd.DataFrame(reading.items)
    items = items.assign(
        split=items["image_id"].map(splits), group_id=items["image_id"].map(groups), cluster=items["image_id"]
    )
    labels = POLICIES[params.policy_of(source)].label(items, read_label_tables(tables), params, Account(source))
    known = labels[labels["type"].notna()]
    train = labels[labels["split"] == "train"]
    heads = [head for head in HEADS if head in labels and train[head].nunique() > 1]
    return list(zip(known["image_id"], known["type"], strict=True)), heads


def balanced(groups: dict[str, list[str]], shares: tuple[float, float, float]) -> dict[str, str]:
    """A split for every group, where a hash leaves one empty: the largest group first, to where most is missing.

    Args:
        groups: group -> its images.
    """
    total = sum(map(len, groups.values()))
    filled = dict.fromkeys(SPLITS, 0)
    result = {}
    for name in sorted(groups, key=lambda name: (-len(groups[name]), name)):
        split = max(SPLITS, key=lambda split: (shares[SPLITS.index(split)] * total - filled[split], split == "train"))
        result[name] = split
        filled[split] += len(groups[name])
    return result
