"""Splits that no near duplicate crosses unless all are kept: which images move, which stay, which cannot be kept."""

from collections import defaultdict

from stages.contracts.disjoint import connected
from stages.contracts.tables import SPLITS, hash_split
from stages.ingest.reading import ImageFile


def held_out(split: str) -> int:
    """How far a split is held out: 0 train, 1 val, 2 test; -1 where none is fixed."""
    return SPLITS.index(split) if split else -1


def upstream_level(file: ImageFile) -> str:
    """What upstream, or our own splits file, says of an image; empty where it says nothing."""
    return "train" if file.ours else file.split


def decide_splits(
    files: list[ImageFile], clusters: dict[str, str], keep: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """A split for every image that may stay, and what the others are near duplicates of.

    Images whose split is ours to choose are connected by group or cluster, and a unit of connected images gets one
    split: by a hash of its smallest group, or, where upstream says train, the most held-out of the splits that its
    groups' hashes give. A unit that touches an image with a fixed split follows it. Where fixed splits themselves cut
    through a cluster, only its images in the most held-out one stay.

    Args:
        files: the images, in the order of their ids.
        clusters: image_id -> near-duplicate cluster.
        keep: all images stay where upstream has them, near duplicates of a test image in training too, as published
            figures were measured; what upstream says is for training is in train or val. Benchmarks mark these rows.

    Returns:
        image_id -> split of those that stay; image_id -> detail of the rejected.
    """
    leaking = {} if keep else _leaking({file.image_id: upstream_level(file) for file in files if file.split}, clusters)
    files = [file for file in files if file.image_id not in leaking]
    splits = {file.image_id: file.split for file in files if file.split and not file.ours}
    fixed: dict[str, str] = {}
    for image_id, split in splits.items():
        fixed[clusters[image_id]] = max(fixed.get(clusters[image_id], ""), split, key=held_out)
    for unit in _units([file for file in files if file.ours or not file.split], clusters):
        touched = {fixed[clusters[file.image_id]] for file in unit if clusters[file.image_id] in fixed}
        if keep and any(file.ours for file in unit):
            touched.discard("test")
        chosen = max(touched | {file.split for file in unit}, key=held_out)
        chosen = chosen or hash_split(min(file.group or file.image_id for file in unit))
        splits |= {file.image_id: chosen for file in unit}
    if keep:
        return splits, {}
    # A unit of ours that had to follow a test image may have left an image that is fixed to train behind.
    left_behind = _leaking({file.image_id: splits[file.image_id] for file in files}, clusters)
    return {key: split for key, split in splits.items() if key not in left_behind}, leaking | left_behind


def _leaking(splits: dict[str, str], clusters: dict[str, str]) -> dict[str, str]:
    """Images with a near duplicate in a split that is held out more: image_id -> which one, and where."""
    most: dict[str, str] = {}  # cluster -> the first image of its most held-out split
    for image_id, split in splits.items():
        first = most.setdefault(clusters[image_id], image_id)
        if held_out(split) > held_out(splits[first]):
            most[clusters[image_id]] = image_id
    return {
        image_id: f"near duplicate of {other} in {splits[other]}"
        for image_id, split in splits.items()
        if held_out(split) < held_out(splits[other := most[clusters[image_id]]])
    }


def _units(files: list[ImageFile], clusters: dict[str, str]) -> list[list[ImageFile]]:
    """The images in parts that are connected by group or cluster."""
    parts = connected((("group", file.group or file.image_id), ("cluster", clusters[file.image_id])) for file in files)
    units: dict[tuple[str, str], list[ImageFile]] = defaultdict(list)
    for file in files:
        units[parts["cluster", clusters[file.image_id]]].append(file)
    return list(units.values())


def exact_duplicates(digests: dict[str, str], files: dict[str, ImageFile]) -> dict[str, str]:
    """image_id of every repeated file -> image_id of the one with the same bytes that stays.

    That is the one in the split that upstream holds out most, so that test sets stay whole; then the smallest id.

    Args:
        digests: image_id -> sha256 of the file.
        files: image_id -> the file.
    """
    same: dict[str, list[str]] = defaultdict(list)
    for image_id, digest in digests.items():
        same[digest].append(image_id)
    repeated: dict[str, str] = {}
    for ids in same.values():
        kept = min(ids, key=lambda image_id: (-held_out(upstream_level(files[image_id])), image_id))
        repeated |= {image_id: kept for image_id in ids if image_id != kept}
    return dict(sorted(repeated.items()))
