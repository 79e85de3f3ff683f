"""Splits that nothing crosses, on data made to tempt them."""

import random

import networkx as nx
import pytest

from stages.core.errors import StageError
from stages.core.splits import SHARES
from stages.crops.split import assign, check_no_leakage, connected


def row(group, cluster, source="s", split="train"):
    return {"source": source, "group_id": group, "cluster": cluster, "split": split}


def test_rows_of_a_group_or_a_cluster_share_their_unit():
    units = connected([row("anna", "p1"), row("anna", "p2"), row("bea", "p2"), row("cleo", "p9")])
    assert units[0] == units[1] == units[2] != units[3]


def test_sharing_is_transitive_over_any_number_of_steps():
    chain = [row(f"g{n}", f"c{n}") for n in range(20)] + [row(f"g{n}", f"c{n + 1}") for n in range(19)]
    random.Random(0).shuffle(chain)
    assert len(set(connected(chain))) == 1


def test_same_names_in_two_sources_are_not_the_same():
    units = connected([row("anna", "p1", "a"), row("anna", "p1", "b")])
    assert units[0] != units[1]


def test_group_and_cluster_of_the_same_name_are_not_the_same():
    units = connected([row("x", "y"), row("y", "x")])
    assert units[0] != units[1]


def tempting(count=400, seed=0):
    """People with several outfits; one photo in four is a near duplicate of a stranger's."""
    draw = random.Random(seed)
    rows = []
    for number in range(count):
        cluster = f"p{draw.randrange(count)}" if draw.random() < 0.25 else f"p{number}"
        rows.append(
            row(
                f"person{draw.randrange(count // 2)}", cluster, draw.choice("ab"), draw.choice(["train", "val", "test"])
            )
        )
    return rows


def test_units_are_the_connected_components_of_the_graph():
    rows = tempting()
    graph = nx.Graph()
    for number, one in enumerate(rows):
        graph.add_edge(number, ("group", one["source"], one["group_id"]))
        graph.add_edge(number, ("cluster", one["source"], one["cluster"]))
    expected = {frozenset(node for node in part if isinstance(node, int)) for part in nx.connected_components(graph)}
    by_unit = {}
    for number, unit in enumerate(connected(rows)):
        by_unit.setdefault(unit, set()).add(number)
    assert {frozenset(part) for part in by_unit.values()} == expected


@pytest.mark.parametrize("upstream", [[], ["a"], ["a", "b"]])
def test_nothing_leaks_on_data_made_to_tempt_it(upstream):
    rows = tempting()
    splits = assign(rows, SHARES, upstream)
    check_no_leakage([one | {"split": split} for one, split in zip(rows, splits, strict=True)])
    assert set(splits) == {"train", "val", "test"}


def test_split_by_row_alone_would_have_leaked():
    """The check has teeth: splitting the same rows one by one is found out."""
    with pytest.raises(StageError, match=r"leakage: (group_id|cluster) '.*' of . is in splits"):
        check_no_leakage(tempting())


def test_splits_do_not_depend_on_the_order_of_rows():
    rows = tempting()
    order = list(range(len(rows)))
    random.Random(1).shuffle(order)
    straight = assign(rows, SHARES, [])
    shuffled = assign([rows[index] for index in order], SHARES, [])
    assert shuffled == [straight[index] for index in order]


def test_upstream_split_is_kept_where_it_is_clean():
    rows = [row(name, name, split=split) for name, split in (("a", "train"), ("b", "val"), ("c", "test"))]
    assert assign(rows, (0.98, 0.01, 0.01), ["s"]) == ["train", "val", "test"]


def test_unit_that_upstream_cuts_goes_to_the_most_held_out_split():
    rows = [row("anna", "p1", split="train"), row("anna", "p2", split="val"), row("bea", "p2", split="test")]
    assert assign(rows, SHARES, ["s"]) == ["test"] * 3
    assert assign(rows[:2], SHARES, ["s"]) == ["val"] * 2


def test_upstream_splits_of_other_sources_are_not_looked_at():
    rows = [row(f"g{n}", f"c{n}", split="test") for n in range(60)]
    assert set(assign(rows, SHARES, ["another"])) == {"train", "val", "test"}
