"""Who wears what in the drawn DeepFashion-MultiModal, and in which photos."""

from collections import Counter
from random import Random

import pytest
from small_demo import SMALL

from stages.demo.drawing.garments import make_garment
from stages.demo.drawing.people import Person
from stages.demo.sources.deepfashion_mm import FIRST_FLAT, Wearer, choose_item, choose_outfit, draw, jobs, outfit_shots
from stages.demo.sources.deepfashion_mm_release import TYPES

DEMO = SMALL["deepfashion_mm"]


def layers(items):
    return [TYPES[name][0] for name, _ in items]


def test_type_is_worn_in_one_outfit_of_a_person_only():
    used = set()
    names = [choose_item(Random(seed), "Men", "lower", used)[0] for seed in range(3)]
    assert sorted(names) == ["Denim", "Pants", "Shorts"] and used == set(names)
    assert choose_item(Random(0), "Men", "lower", used) is None  # men have no other type


@pytest.mark.parametrize("gender", ["Men", "Women"])
def test_item_is_of_a_kind_of_its_type_and_an_outer_one_is_open(gender):
    for seed in range(40):
        for layer in ("upper", "lower", "outer"):
            name, garment = choose_item(Random(seed), gender, layer, set())
            assert garment.kind in TYPES[name][1] and garment.gender == gender
            assert garment.opened is (layer == "outer")
            assert name != "Graphic_Tees" or garment.pattern == "graphic"


def test_outfits_follow_the_percentages():
    dressed = DEMO.model_copy(update={"dress_percent": 100})
    covered = DEMO.model_copy(update={"dress_percent": 0, "outer_percent": 100})
    plain = DEMO.model_copy(update={"dress_percent": 0, "outer_percent": 0})
    for seed in range(10):
        assert layers(choose_outfit(Random(seed), dressed, "Women", set())) == ["dress"]
        assert layers(choose_outfit(Random(seed), dressed, "Men", set()))[:2] == ["upper", "lower"]
        assert layers(choose_outfit(Random(seed), covered, "Women", set())) == ["upper", "lower", "outer"]
        assert layers(choose_outfit(Random(seed), plain, "Women", set())) == ["upper", "lower"]


def test_as_many_people_as_asked_for_have_a_close_up():
    found = jobs(DEMO)
    assert [index for index, _ in found] == list(range(14))
    assert sum(close_up for _, close_up in found) == 4 and found == jobs(DEMO)
    assert sum(close_up for _, close_up in jobs(DEMO.model_copy(update={"additional": 99}))) == 14


def test_outfit_is_worn_twice_and_each_item_lies_flat_under_a_number_of_its_own():
    rng = Random(3)
    items = choose_outfit(rng, DEMO.model_copy(update={"dress_percent": 0, "outer_percent": 0}), "Men", set())
    shoes = make_garment(rng, "boot", "Men")
    wearer = Wearer("MEN-id_00000007", 1, Person("Men", (236, 190, 156), (32, 26, 24), False, 100), items, shoes)
    shots = outfit_shots(rng, DEMO, wearer)
    assert shots[0].position == "front" and shots[1].position in ("side", "back", "full")
    assert [shot.position for shot in shots[2:]] == ["flat"] * 2
    assert [list(shot.files) for shot in shots[2:]] == [
        [f"MEN-{name}-id_00000007-01_{FIRST_FLAT + number}_flat"] for number, (name, _) in enumerate(items)
    ]
    # A file of a worn photo is about one item; its rows name the others and the shoes as there to see.
    for stem, rows in shots[0].files.items():
        assert sum(row["item"] == stem for row in rows) == 1
        assert {row["view"] for row in rows} == {"front"}


def test_person_has_one_or_two_outfits_and_the_close_up_comes_last():
    outfits = Counter()
    for index, close_up in jobs(DEMO):
        shots = draw(DEMO, (index, close_up))
        stems = [stem for shot in shots for stem in shot.files]
        assert {stem.split("-")[2] for stem in stems} == {f"id_{index + 1:08d}"}
        outfits[len({stem.split("-")[3].split("_")[0] for stem in stems})] += 1
        assert (shots[-1].position == "additional") is close_up
    assert set(outfits) == {1, 2}
