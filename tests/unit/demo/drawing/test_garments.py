"""Garments as params ask for them or as chance draws them, within what their kind allows."""

from random import Random

import pytest

from stages.demo.drawing.garments import GARMENT_KINDS, LOWERS, SHOES, UPPERS, companions, make_garment


def test_what_people_wear_is_of_the_layer_that_it_is_named_after():
    for gender in ("Men", "Women"):
        for kinds, layer in ((LOWERS, "lower"), (UPPERS, "upper"), (SHOES, "feet")):
            assert {GARMENT_KINDS[kind].layer for kind in kinds[gender]} == {layer}


def test_what_is_asked_for_is_made():
    garment = make_garment(
        Random(0), "dress", "Women", color="Teal", fabric="leather", pattern="lattice", usage="Formal", sleeve="long"
    )
    assert (garment.kind, garment.gender, garment.color, garment.fabric) == ("dress", "Women", "Teal", "leather")
    assert (garment.pattern, garment.usage, garment.sleeve) == ("lattice", "Formal", "long")
    assert garment.traits == GARMENT_KINDS["dress"] and garment.rgb == garment.colors[0]


@pytest.mark.parametrize("kind", sorted(set(GARMENT_KINDS) - {"shorts"}))
def test_what_is_not_asked_for_is_within_the_kind(kind):
    traits = GARMENT_KINDS[kind]
    for seed in range(30):
        garment = make_garment(Random(seed), kind, "Women")
        assert garment.fabric in traits.fabrics and garment.sleeve in traits.sleeves
        assert traits.hem[0] <= garment.hem <= traits.hem[1] and traits.ease[0] <= garment.ease <= traits.ease[1]
        assert not garment.opened or traits.layer == "outer"
        assert garment.pattern != "graphic" or traits.family in ("torso", "cap")  # a chest print needs a chest


def test_womens_shorts_are_cut_shorter():
    hems = {gender: [make_garment(Random(seed), "shorts", gender).hem for seed in range(40)] for gender in LOWERS}
    assert 36 <= min(hems["Women"]) <= max(hems["Women"]) <= 58 < 70 <= min(hems["Men"]) <= max(hems["Men"]) <= 96


def test_sling_has_a_square_neckline_and_a_tank_without_sleeves_a_deep_one():
    for seed in range(10):
        assert make_garment(Random(seed), "dress", "Women", sleeve="sling").neckline == "square"
        assert make_garment(Random(seed), "tank", "Men").neckline == "scoop"


@pytest.mark.parametrize("pattern", ["pure color", "graphic"])
def test_multi_is_never_of_one_plain_color(pattern):
    for seed in range(10):
        garment = make_garment(Random(seed), "tshirt", "Men", color="Multi", pattern=pattern)
        assert garment.pattern in ("striped", "floral", "color block")
        assert len(set(garment.colors)) == 4


def test_about_six_in_ten_outer_garments_are_worn_open():
    opened = sum(make_garment(Random(seed), "jacket", "Men").opened for seed in range(400))
    assert opened / 400 == pytest.approx(0.6, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tshirt", ["lower"]),
        ("jeans", ["upper"]),
        ("jacket", ["lower", "upper"]),
        ("cap", ["lower", "upper"]),
        ("dress", []),
        ("jumpsuit", []),
    ],
)
def test_wearer_of_a_garment_is_dressed_and_in_most_photos_has_shoes(kind, expected):
    with_shoes = 0
    for seed in range(100):
        rng = Random(seed)
        layers = [other.traits.layer for other in companions(rng, make_garment(rng, kind, "Women"), "Women")]
        with_shoes += layers[-1:] == ["feet"]
        assert [layer for layer in layers if layer != "feet"] == expected
    assert 65 <= with_shoes <= 95


def test_wearer_of_shoes_gets_no_second_pair():
    for seed in range(20):
        rng = Random(seed)
        others = companions(rng, make_garment(rng, "boot", "Men"), "Men")
        assert [other.traits.layer for other in others] == ["lower", "upper"]
