"""What a source holds, counted by its own reader: labels, groups and splits, and the photos that are left out."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from stages.adding.photos import Photos
from stages.contracts.ledger import REASONS, Account
from stages.contracts.tables import SPLITS
from stages.core.errors import StageError
from stages.core.heads import HEADS
from stages.core.params import section
from stages.ingest.files import BROKEN, CLOSED, OUTSIDE, Tree
from stages.ingest.readers import READERS
from stages.ingest.reading import IngestParams, Reading, Request
from stages.ingest.splitting import decide_splits
from stages.labels.labels import POLICIES
from stages.labels.merging import read_label_tables
from stages.labels.params import LabelParams
from stages.profiles.compose import PROFILES, members


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
        rejected: (table, reason) -> rows that are rejected, near duplicates aside.
        examples: (table, reason) -> the first of them, and what was found there.
        elsewhere: kind -> photos and links that lie where the reader does not look.
        crossing: groups with photos in several splits.
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
    examples: dict[tuple[str, str], str]
    elsewhere: dict[str, int]
    crossing: int
    heads: list[str]

    def by_label(self) -> dict[str, Counter]:
        """Label -> split -> items."""
        found: dict[str, Counter] = defaultdict(Counter)
        for label, split in self.items:
            found[label][split] += 1
        return dict(sorted(found.items()))


def measure(
    source: str,
    root: Path,
    annotations: Path,
    tables: Path,
    tree: dict[str, Any],
    label: str | None,
    photos: Photos | None = None,
) -> Measured:
    """Run the reader of a source and count what it finds.

    Args:
        tree: the profile over its base, as ``over_base`` gives it.
        label: the items' label column; None where a policy of the reader's own knows.
        photos: that were opened already.

    Raises:
        StageError: as the reader; it finds no usable image.
    """
    options = section(
        IngestParams, f"ingest.{source}", {"ingest": members("ingest", tree["ingest"])}, PROFILES / f"{source}.yaml"
    )
    account = Account(source)
    request = Request(source, root, annotations, tables, options, account)
    reading = READERS[options.reader](request)
    left_out = (photos or Photos()).left_out(reading.images, options)
    rejected, examples = _rejected(account, left_out)
    files = sorted((one for one in reading.images if one.image_id not in left_out), key=lambda file: file.image_id)
    if not files:
        raise StageError(f"{root}: no usable image ({'; '.join(told(rejected, examples)) or 'nothing found'}).")
    splits, _ = decide_splits(files, {file.image_id: file.image_id for file in files})
    groups: dict[str, list[str]] = defaultdict(list)
    for file in files:
        groups[file.group or file.image_id].append(file.image_id)
    reading.items = [row for row in reading.items if row["image_id"] in splits]
    reading.objects = [row for row in reading.objects if row["image_id"] in splits]
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
        rejected,
        examples,
        _elsewhere(request.files),
        sum(len({splits[one] for one in group}) > 1 for group in groups.values()),
        heads,
    )


def _elsewhere(files: Tree) -> dict[str, int]:
    return {kind: count for kind, count in files.rest().items() if kind.endswith(OUTSIDE) or kind in (BROKEN, CLOSED)}


def _rejected(account: Account, left_out: dict[str, tuple[str, str]]) -> tuple[Counter, dict[tuple[str, str], str]]:
    """(table, reason) -> rows, and the first of them."""
    rows = [
        ((table, one.reason), f"{one.key}: {one.detail}" if one.detail else one.key)
        for table, ledger in account.ledgers.items()
        for one in ledger.rejects
    ]
    rows += [(("images", reason), detail) for reason, detail in left_out.values()]
    return Counter(key for key, _ in rows), dict(reversed(rows))


def told(rejected: Counter, examples: dict[tuple[str, str], str]) -> list[str]:
    """What was rejected, in words: how many, why, and the first."""
    return [
        f"{count} {table if count > 1 else table.removesuffix('s')} {reason} ({REASONS[reason]}), such as "
        f"{examples[table, reason][:80]}"
        for (table, reason), count in rejected.most_common()
    ]


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
