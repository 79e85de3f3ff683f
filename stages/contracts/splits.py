"""Splits by a hash of the group, so that they never depend on order or on what else is in the data."""

from stages.core.files import digest

SPLITS = ("train", "val", "test")
SHARES = (0.70, 0.15, 0.15)  # 70/15/15 wherever upstream has no split of its own


def unit_hash(key: str) -> float:
    """A number in [0, 1) that depends on ``key`` alone."""
    return int(digest(key)[:13], 16) / 16**13


def hash_split(group: str, shares: tuple[float, float, float] = SHARES) -> str:
    """train, val or test for a group, with the given shares of groups."""
    position = unit_hash(group)
    if position < shares[0]:
        return "train"
    return "val" if position < shares[0] + shares[1] else "test"


def shard_of(key: str, shards: int) -> int:
    """Shard number of an id: depends on the id alone (docs/architecture.md)."""
    return int(digest(key)[:13], 16) % shards
