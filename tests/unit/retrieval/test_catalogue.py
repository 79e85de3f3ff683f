"""The catalogue of metrics: which key is which metric, what a place shows, and which value leads."""

import pytest

from stages.retrieval.catalogue import ALL, HIT, METRICS, Metric, Place, every, find, shown_at, shown_names


def test_a_key_or_label_is_its_metric_at_its_k():
    for name in ("hit_at_17", "hit@17"):
        assert (find(name).key, find(name).label, find(name).k, find(name).metric) == (
            "hit_at_17",
            "hit@17",
            (17,),
            HIT,
        )
    assert (find("map").label, find("map").k) == ("mAP", ())
    assert find("MAP@R").key == "map_at_r"
    assert [find(name) for name in ("hit_at_", "hit_at_x", "hit_at_1_low95", "xmap", "n_scored")] == [None] * 5


def test_no_two_metrics_share_a_key_or_label():
    names = [name for measure in every([1, 2]) for name in {measure.key, measure.label}]
    assert len(names) == len(set(names)) == sum(len({one.key, one.label}) * (2 if one.has_k else 1) for one in METRICS)


def test_a_place_shows_its_k_and_those_that_are_asked_for_as_well():
    keys = [measure.key for measure in shown_at(Place.PAGE)]
    assert keys == ["hit_at_1", "hit_at_5", "hit_at_10", "hit_at_20", "hit_at_50", "map", "map_at_r"]
    more = [measure.key for measure in shown_at(Place.PAGE, ["hit_at_3", "recall_at_7", "loss"])]
    assert more == ["hit_at_1", "hit_at_3", *keys[1:]]  # the page shows no recall


def test_a_comparison_keeps_every_hit_and_the_intervals_in_brackets():
    names = ["hit_at_1", "hit_at_3", "hit_at_3_low95", "map", "map_low95", "map_high95", "map_at_r", "map_at_r_low95"]
    names += ["mrr", "r_precision", "precision_at_1", "n_scored"]
    assert shown_names(Place.COMPARED, names) == ["hit_at_1", "hit_at_3", "map", "map_at_r", "mrr"]
    with_ends = ["hit_at_1", "hit_at_3", "map", "map_low95", "map_high95", "map_at_r", "mrr"]
    assert shown_names(Place.COMPARED, names, Place.BRACKETS) == with_ends


def test_every_interval_that_is_shown_is_computed():
    for measure in shown_at(Place.BRACKETS):
        assert measure.shown(Place.INTERVAL), measure.key


@pytest.mark.parametrize(("higher", "first"), [(True, 0.75), (False, 0.25)])
def test_the_better_value_comes_first_and_what_is_missing_last(higher, first):
    measure = Metric("x", "x", lambda ranks: None, {Place.PAGE: ALL}, higher_is_better=higher).at(())[0]
    assert sorted([None, 0.25, 0.75], key=measure.order)[::2] == [first, None]
