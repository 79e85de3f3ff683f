"""Choose splits so that no near duplicates are in two of them, unless all duplicates are kept."""

from collections import defaultdict

from stages.contracts.disjoint import connected
from stages.contracts.tables import SPLITS, hash_split
from stages.ingest.reading import ImageFile


def held_out(split: str) -> int:
    """Rank of a split by how far it is held out: 0 train, 1 val, 2 test; -1 if none is fixed."""
    return SPLITS.index(split) if split else -1


def upstream_level(file: ImageFile) -> str:
    """The split of an image by upstream or our own splits file; empty if neither has one."""
    return "train" if file.ours else file.split


def decide_splits(
    files: list[ImageFile], clusters: dict[str, str], keep: bool = False
) -> tuple[dict[str, str], dict[str, str]]:
    """Choose a split for every kept image; images that would leak are rejected.

    Images without a fixed split are connected by group or cluster, and a unit of connected images gets one split: by a
    hash of its smallest group or, if upstream's split is train, the most held-out of the splits by its groups' hashes.
    A unit connected with an image with a fixed split gets that split. If fixed splits separate the images of a cluster,
    only those in the most held-out split are kept.

    Args:
        files: the images, in the order of their ids.
        clusters: image_id -> near-duplicate cluster.
        keep: all images keep upstream's split, also near duplicates of test images in training, as in published
            results; upstream's training images are in train or val. Benchmarks mark these rows.

    Returns:
        image_id -> split of the kept images; image_id -> detail of the rejected ones.
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
    # A unit may have followed a test image although a near duplicate of one of its images is fixed to train.
    left_behind = _leaking({file.image_id: splits[file.image_id] for file in files}, clusters)
    return {key: split for key, split in splits.items() if key not in left_behind}, leaking | left_behind


def _leaking(splits: dict[str, str], clusters: dict[str, str]) -> dict[str, str]:
    """Images with a near duplicate in a more held-out split: image_id -> its id and split."""
    most: dict[str, str] = {}  # cluster -> the first image of its most held-out split
    for image_id, split in splits.items():
        first = most.setdefault(clusters[image_id], image_id)
        if held_out(split) > held_out(splits[first]):
            most[clusters[image_id]] = image_id
    return {
        image_id: f"near duplicate of {held} in {splits[held]}"
        for image_id, split in splits.items()
        if held_out(split) < held_out(splits[held := most[clusters[image_id]]])
    }


def _units(files: list[ImageFile], clusters: dict[str, str]) -> list[list[ImageFile]]:
    """Connected components of images, by group or cluster."""
    components = connected(
        (("group", file.group or file.image_id), ("cluster", clusters[file.image_id])) for file in files
    )
    units: dict[tuple[str, str], list[ImageFile]] = defaultdict(list)
    for file in files:
        units[components["cluster", clusters[file.image_id]]].append(file)
    return list(units.values())


def exact_duplicates(digests: dict[str, str], files: dict[str, ImageFile]) -> dict[str, str]:
    """image_id of every repeated file -> image_id of the kept file with the same bytes.

    The kept one is in the most held-out split, so that test sets stay complete; of several, the smallest id.

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
