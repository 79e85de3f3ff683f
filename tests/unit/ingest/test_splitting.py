"""No near duplicate crosses splits, and nothing else moves."""

import random
from itertools import product
from pathlib import Path

import pytest

from stages.contracts.tables import SPLITS, hash_split, unit_hash
from stages.ingest.reading import ImageFile, upstream_image
from stages.ingest.splitting import decide_splits, exact_duplicates


def image(name, split="", group="", ours=False):
    return ImageFile(name, Path(name), split, group, ours)


def decide(files, *clusters, keep=False):
    """Splits and rejects where the images of each of ``clusters`` are near duplicates."""
    names = {file.image_id: file.image_id for file in files}
    for cluster in clusters:
        names |= dict.fromkeys(cluster, min(cluster))
    return decide_splits(sorted(files, key=lambda file: file.image_id), names, keep)


def group_of(split, count=1, prefix="g"):
    """Groups whose own hash gives ``split``."""
    return [name for number in range(1000) if hash_split(name := f"{prefix}{number}") == split][:count]


@pytest.mark.parametrize("split", SPLITS)
def test_group_without_ties_keeps_the_split_of_its_hash(split):
    (group,) = group_of(split)
    files = [image("a", group=group), image("b", group=group)]
    assert decide(files, ("a", "b")) == ({"a": split, "b": split}, {})
    assert decide(files) == ({"a": split, "b": split}, {})


def test_image_without_group_is_hashed_by_its_id():
    assert decide([image("a"), image("b")]) == ({"a": hash_split("a"), "b": hash_split("b")}, {})


def test_groups_that_a_cluster_ties_share_the_split_of_the_smallest():
    (train,), (test,) = group_of("train", prefix="b"), group_of("test", prefix="a")
    files = [image("1", group=train), image("2", group=test), image("3", group=train), image("4", group=test)]
    splits, rejected = decide(files, ("1", "2"))
    assert splits == dict.fromkeys("1234", "test")  # "a..." is the smaller
    assert rejected == {}


def test_ties_are_transitive():
    groups = [group_of(split, prefix=prefix)[0] for split, prefix in (("val", "a"), ("train", "b"), ("test", "c"))]
    files = [image(f"{group}-{number}", group=group) for group, number in product(groups, range(2))]
    ids = [file.image_id for file in files]
    splits, _ = decide(files, (ids[1], ids[2]), (ids[3], ids[4]))
    assert set(splits.values()) == {"val"}


def test_upstream_images_more_than_held_out_ones_are_rejected():
    files = [image("a", "train"), image("b", "test"), image("c", "val"), image("d", "train")]
    splits, rejected = decide(files, ("a", "b", "c"))
    assert splits == {"b": "test", "d": "train"}
    assert rejected == {"a": "near duplicate of b in test", "c": "near duplicate of b in test"}


def test_near_duplicates_within_a_fixed_split_stay():
    files = [image("a", "train"), image("b", "train")]
    assert decide(files, ("a", "b")) == ({"a": "train", "b": "train"}, {})


def test_val_chosen_by_us_takes_the_whole_unit_along():
    share = 0.3

    def chosen(split, prefix):
        return next(n for i in range(1000) if ((unit_hash(n := f"{prefix}{i}") < share) == (split == "val")))

    train, val = chosen("train", "a"), chosen("val", "b")
    files = [upstream_image(name, Path(name), "train", group, share)
             for name, group in (("1", train), ("2", val), ("3", train), ("4", chosen("train", "z")))]  # fmt: skip
    assert [file.split for file in files] == ["train", "val", "train", "train"]
    splits, rejected = decide(files, ("1", "2"))
    assert splits == {"1": "val", "2": "val", "3": "val", "4": "train"}
    assert rejected == {}


def test_training_image_like_one_of_upstreams_validation_is_rejected_and_ties_nothing():
    files = [
        image("t1", "train", "g1", ours=True), image("t2", "train", "g1", ours=True),
        image("v1", "val", "g2", ours=True), image("x", "test", "g9"),
    ]  # fmt: skip
    splits, rejected = decide(files, ("t1", "v1", "x"))
    assert splits == {"t2": "train", "x": "test"}  # t2 stays in train: the tie to v1 went with t1
    assert sorted(rejected) == ["t1", "v1"]


def test_with_keep_upstreams_images_stay_where_upstream_has_them():
    files = [image("a", "train"), image("b", "test"), image("c", "val"), image("d", "train")]
    expected = {"a": "train", "b": "test", "c": "val", "d": "train"}
    assert decide(files, ("a", "b", "c"), keep=True) == (expected, {})


def test_with_keep_training_images_like_a_test_image_stay_in_train_or_val():
    """Upstream says that t1, t2 and v1 are for training: they hang together, so all are val."""
    files = [
        image("t1", "train", "g1", ours=True), image("t2", "train", "g1", ours=True),
        image("v1", "val", "g2", ours=True), image("t3", "train", "g3", ours=True), image("x", "test", "g9"),
    ]  # fmt: skip
    splits, rejected = decide(files, ("t1", "v1", "x"), ("t3",), keep=True)
    assert splits == {"t1": "val", "t2": "val", "v1": "val", "t3": "train", "x": "test"}
    assert rejected == {}


def test_group_of_ours_follows_the_fixed_image_that_it_resembles():
    (group,) = group_of("train")
    files = [image("f", "test", "sender1"), image("a", group=group), image("b", group=group)]
    assert decide(files, ("a", "f")) == ({"f": "test", "a": "test", "b": "test"}, {})


def test_fixed_image_left_behind_by_a_group_that_had_to_follow_is_rejected():
    (group,) = group_of("train")
    files = [image("f", "test", "s1"), image("h", "train", "s2"), image("a", group=group), image("b", group=group)]
    splits, rejected = decide(files, ("a", "f"), ("b", "h"))
    assert splits == {"f": "test", "a": "test", "b": "test"}
    assert rejected == {"h": "near duplicate of b in test"}


def test_no_cluster_and_no_group_of_ours_crosses_splits_whatever_the_ties():
    rng = random.Random(7)
    for _ in range(60):
        files = []
        for number in range(30):
            kind = rng.choice(["hash", "ours", "fixed"]) if rng.random() < 0.5 else "hash"
            if kind == "hash":
                files.append(image(f"{number:02}", group=f"g{rng.randrange(8)}"))
            elif kind == "ours":
                files.append(image(f"{number:02}", rng.choice(["train", "val"]), f"u{rng.randrange(8)}", ours=True))
            else:
                files.append(image(f"{number:02}", rng.choice(SPLITS), f"f{rng.randrange(8)}"))
        clusters = {file.image_id: f"{rng.randrange(15):02}" for file in files}
        splits, rejected = decide_splits(files, clusters)
        assert set(splits) | set(rejected) == {file.image_id for file in files}
        assert not set(splits) & set(rejected)
        found = {}
        for file in files:
            if file.image_id in splits:
                found.setdefault(clusters[file.image_id], set()).add(splits[file.image_id])
                if not file.split:
                    found.setdefault(file.group, set()).add(splits[file.image_id])
        assert all(len(each) == 1 for each in found.values())
        for file in files:
            if file.split and not file.ours and file.image_id in splits:
                assert splits[file.image_id] == file.split
            assert file.split or file.image_id in splits  # what is ours to place is never rejected


def test_of_equal_files_the_most_held_out_stays_then_the_smallest_id():
    files = {file.image_id: file for file in (
        image("a", "train", ours=True), image("b", "test"), image("c", "test"), image("d"), image("e"),
    )}  # fmt: skip
    digests = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y"}
    assert exact_duplicates(digests, files) == {"a": "b", "c": "b", "e": "d"}
