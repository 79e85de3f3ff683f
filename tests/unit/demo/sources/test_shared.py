"""The plan of defects: as many as asked for, none twice, the same every time."""

from stages.demo.sources.shared import DefectPlan, rng_for


def test_no_index_is_taken_twice_and_no_more_than_there_are() -> None:
    plan = DefectPlan(1, "shoes", 10)
    first, second = plan.take(4), plan.take(4)
    assert len(first) == len(second) == 4 and not set(first) & set(second)
    assert first == sorted(first)
    assert set(first) | set(second) | set(plan.take(5)) == set(range(10))
    assert plan.take(1) == []


def test_only_what_can_have_a_defect_is_taken() -> None:
    plan = DefectPlan(1, "shoes", 10)
    plan.exclude([2, 4])
    assert plan.take(10, among=range(6)) == [0, 1, 3, 5]


def test_seed_and_source_choose() -> None:
    chosen = [DefectPlan(seed, source, 1000).take(5) for seed, source in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))]
    assert chosen[0] == chosen[1] and chosen[0] != chosen[2] and chosen[0] != chosen[3]


def test_a_drawn_thing_has_a_generator_of_its_own() -> None:
    assert rng_for(1, "shoes", "boots", 3).random() == rng_for(1, "shoes", "boots", 3).random()
    assert rng_for(1, "shoes", "boots", 3).random() != rng_for(1, "shoes", "boots", 4).random()
