"""Splits and shards depend on the key alone."""

import hashlib
from collections import Counter

import pytest

from stages.contracts.tables import SHARES, hash_split, shard_of, unit_hash

KEYS = [f"group-{number}" for number in range(4000)]


def test_unit_hash_is_the_head_of_sha256():
    # 13 hex digits of sha256 over the key and a closing zero byte, as a share of 16^13.
    head = hashlib.sha256(b"sender 7\0").hexdigest()[:13]
    assert unit_hash("sender 7") == int(head, 16) / 2**52
    assert all(0 <= unit_hash(key) < 1 for key in KEYS)


@pytest.mark.parametrize("shares", [SHARES, (0.5, 0.25, 0.25)])
def test_shares_are_met(shares):
    counts = Counter(hash_split(key, shares) for key in KEYS)
    # Four standard deviations of a binomial with 4,000 draws are at most 3.2 %.
    for split, share in zip(("train", "val", "test"), shares, strict=True):
        assert counts[split] / len(KEYS) == pytest.approx(share, abs=0.032)


def test_split_depends_on_the_key_alone():
    alone = {key: hash_split(key) for key in KEYS[:50]}
    assert {key: hash_split(key) for key in reversed(KEYS)}.items() >= alone.items()


def test_larger_train_share_moves_groups_only_into_train():
    for key in KEYS[:500]:
        if hash_split(key, (0.6, 0.2, 0.2)) == "train":
            assert hash_split(key, (0.7, 0.15, 0.15)) == "train"


def test_shards_are_even_and_independent_of_the_split():
    counts = Counter((shard_of(key, 2), hash_split(key)) for key in KEYS)
    train = [counts[shard, "train"] for shard in (0, 1)]
    assert train[0] / sum(train) == pytest.approx(0.5, abs=0.04)
