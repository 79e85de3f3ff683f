"""Run a source's reader and count its labels, groups, splits, and the photos that are left out."""

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
        upstream: whether the data brings splits of its own.
        shared: whether it brings two splits only: its other split becomes test, and a share of its train becomes val.
        several: whether an image has more than one item.
        box_classes: class -> boxes of it.
        boxed: split -> boxes in it.
        rejected: (table, reason) -> rows that are rejected, near duplicates aside.
        examples: (table, reason) -> the first of these rows, with details.
        elsewhere: kind -> photos and links in folders that the reader does not read.
        crossing: groups with photos in several splits.
        heads: heads of the classifier whose training labels have two classes or more.
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
        counts: dict[str, Counter] = defaultdict(Counter)
        for label, split in self.items:
            counts[label][split] += 1
        return dict(sorted(counts.items()))


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
        label: the items' label column; None if the format has a label policy of its own.
        photos: photos that were opened in earlier calls.

    Raises:
        StageError: the reader raises it, or the source has no usable image.
    """
    options = section(
        IngestParams, f"ingest.{source}", {"ingest": members("ingest", tree["ingest"])}, PROFILES / f"{source}.yaml"
    )
    account = Account(source)
    request = Request(source, root, annotations, tables, options, account)
    reading = READERS[options.reader](request)
    left_out = (photos or Photos()).left_out(reading.images, options)
    rejected, examples = _rejected(account, left_out)
    files = sorted((file for file in reading.images if file.image_id not in left_out), key=lambda file: file.image_id)
    if not files:
        raise StageError(
            f"{root}: no usable image ({'; '.join(rejected_lines(rejected, examples)) or 'nothing found'})."
        )
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
        sum(len({splits[name] for name in group}) > 1 for group in groups.values()),
        heads,
    )


def _elsewhere(files: Tree) -> dict[str, int]:
    return {kind: count for kind, count in files.rest().items() if kind.endswith(OUTSIDE) or kind in (BROKEN, CLOSED)}


def _rejected(account: Account, left_out: dict[str, tuple[str, str]]) -> tuple[Counter, dict[tuple[str, str], str]]:
    """(table, reason) -> number of rows, and -> the first row."""
    rows = [
        ((table, reject.reason), f"{reject.key}: {reject.detail}" if reject.detail else reject.key)
        for table, ledger in account.ledgers.items()
        for reject in ledger.rejects
    ]
    rows += [(("images", reason), detail) for reason, detail in left_out.values()]
    return Counter(key for key, _ in rows), dict(reversed(rows))


def rejected_lines(rejected: Counter, examples: dict[tuple[str, str], str]) -> list[str]:
    """A text for each reason: how many rows were rejected, why, and the first of them."""
    return [
        f"{count} {table if count > 1 else table.removesuffix('s')} {reason} ({REASONS[reason]}), such as "
        f"{examples[table, reason][:80]}"
        for (table, reason), count in rejected.most_common()
    ]


def _by_policy(
    source: str, reading: Reading, splits: dict[str, str], tables: Path, tree: dict[str, Any]
) -> tuple[list[tuple[str, str]], list[str]]:
    """(image, type) of the items that the source's label policy keeps, and the heads that can be trained."""
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
    """A split for every group: from the largest group on, each goes to the split that lacks most images.

    Used if a hash of the groups leaves a split empty.

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
