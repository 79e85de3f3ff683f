"""Disjoint sets against numbers worked out by hand, scipy and networkx."""

import networkx
import numpy as np
from scipy.cluster.hierarchy import DisjointSet as Independent

from stages.contracts.disjoint import DisjointSet, connected


def test_sets_by_hand():
    sets = DisjointSet(6)
    for one, other in ((4, 2), (5, 4), (0, 1), (2, 5)):
        sets.join(one, other)
    assert sets.smallest().tolist() == [0, 0, 2, 3, 2, 2]
    assert len(set(sets.label[[2, 4, 5]].tolist())) == 1
    assert len(set(sets.label[[0, 2, 3]].tolist())) == 3


def test_sets_are_those_of_scipy():
    draw = np.random.default_rng(0).integers(0, 300, (200, 2)).tolist()
    ours, theirs = DisjointSet(300), Independent(range(300))
    for one, other in draw:
        ours.join(one, other)
        theirs.merge(one, other)
    assert ours.smallest().tolist() == [min(theirs.subset(number)) for number in range(300)]


def test_a_key_gets_the_smallest_key_it_is_connected_with():
    assert connected([("b", "c"), ("d", "c"), ("x", "y")]) == {"b": "b", "c": "b", "d": "b", "x": "x", "y": "x"}
    assert connected([("a", "a")]) == {"a": "a"}
    assert connected([]) == {}


def test_connected_parts_are_those_of_networkx():
    pairs = [tuple(pair) for pair in np.random.default_rng(1).integers(0, 400, (250, 2)).tolist()]
    parts = networkx.connected_components(networkx.Graph(pairs))
    assert connected(iter(pairs)) == {key: min(part) for part in parts for key in part}
