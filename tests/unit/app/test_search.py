"""Which garments compete, in which order they come, and what different ideas are."""

import numpy as np
import pytest
from small_wardrobe import ColorModels, photo

from stages.app.search import ALL_IN_ALL, ANY, Filters
from stages.app.wardrobe import Wardrobe

COLORS = {
    "red": (200, 20, 20),
    "pink": (230, 120, 120),
    "blue": (20, 20, 200),
    "navy": (10, 10, 90),
    "green": (20, 200, 20),
}


@pytest.fixture
def wardrobe(tmp_path):
    for name, color in COLORS.items():
        photo(tmp_path / "clothes" / f"{name}.png", color)
    photo(tmp_path / "shoes" / "maroon.png", (90, 10, 10))
    made = Wardrobe(ColorModels(), tmp_path / "store")
    made.add([tmp_path / "clothes", tmp_path / "shoes"])
    return made


@pytest.fixture
def query(wardrobe, tmp_path):
    """The top of a red photo."""
    return wardrobe.read_query(photo(tmp_path / "look.png", (210, 30, 30))).garments[0]


def names(matches):
    return [match.item.photo.stem for match in matches]


def test_matches_are_in_the_order_of_the_cosine(wardrobe, query):
    red = np.array([210, 30, 30])
    cosine = {
        name: red @ np.array(color) / np.linalg.norm(red) / np.linalg.norm(color)
        for name, color in (COLORS | {"maroon": (90, 10, 10)}).items()
    }
    found = wardrobe.matches(query, top=10)
    assert names(found) == sorted(cosine, key=lambda name: -cosine[name])
    for match in found:
        assert match.similarity == pytest.approx(cosine[match.item.photo.stem], abs=0.01)  # crops are JPEG


def test_only_garments_of_the_same_superclass_compete_unless_asked_otherwise(wardrobe, query):
    def classes(**options):
        return {match.item.superclass for match in wardrobe.matches(query, top=99, **options)}

    assert classes() == {"top"}
    assert classes(filters=Filters(superclasses=frozenset({"bottom"}))) == {"bottom"}
    catalog = wardrobe.catalog()
    assert len(catalog.competing("top", ANY, True, "")) == 12
    assert len(catalog.competing("none", ANY, False, "")) == 12
    assert len(catalog.competing("vest", ANY, False, "")) == 0


def test_photo_is_listed_once_with_its_best_garment(wardrobe, query):
    found = wardrobe.matches(query, top=99, any_class=True)
    assert len(found) == len({match.item.photo for match in found}) == 6


def test_filters_are_joined(wardrobe, query, tmp_path):
    blue = Filters(attributes={"color": frozenset({"blue"})})
    assert set(names(wardrobe.matches(query, filters=blue))) == {"blue", "navy"}
    both = Filters(attributes={"color": frozenset({"blue", "red"}), "tone": frozenset({"light"})})
    assert names(wardrobe.matches(query, filters=both)) == ["pink"]
    assert names(wardrobe.matches(query, filters=Filters(within=(tmp_path / "shoes",)))) == ["maroon"]
    for nothing in (
        Filters(attributes={"color": frozenset({"mauve"})}),
        Filters(attributes={"size": frozenset({"L"})}),
    ):
        assert wardrobe.matches(query, filters=nothing) == [] == wardrobe.ideas(query, filters=nothing)


def test_facets_count_what_passes(wardrobe):
    assert wardrobe.facets() == {
        "superclass": {"bottom": 6, "top": 6},
        "color": {"red": 6, "blue": 4, "green": 2},
        "tone": {"dark": 10, "light": 2},
    }
    assert wardrobe.facets(Filters(attributes={"tone": frozenset({"light"})}))["color"] == {"red": 2}
    assert wardrobe.count(Filters(superclasses=frozenset({"top"}))) == 6


def test_ideas_take_turns_between_likeness_all_in_all_and_each_head(wardrobe, query):
    """All in all: maroon (cosine .9997 of its dark red). Color: red, whose color is as sure. Tone: pink is as light."""
    found = wardrobe.ideas(query, top=6)
    assert [match.why for match in found] == [ALL_IN_ALL, "color", "tone"] * 2
    assert len(set(names(found))) == 6
    plain = names(wardrobe.matches(query, top=6))
    assert names(found)[0] == plain[0]
    assert {match.item.photo.stem: match.similarity for match in found} == pytest.approx(
        {match.item.photo.stem: match.similarity for match in wardrobe.matches(query, top=6)}
    )


def test_idea_of_a_head_is_the_nearest_in_that_head(tmp_path):
    """Of two photos that are as similar all in all (cosine .941), tone finds the one that is as light as the query."""
    colors = {"near": (200, 140, 140), "red": (220, 60, 60), "dim": (60, 60, 20), "bright": (240, 240, 80)}
    for name, color in colors.items():
        photo(tmp_path / "clothes" / f"{name}.png", color)
    wardrobe = Wardrobe(ColorModels(), tmp_path / "store")
    wardrobe.add([tmp_path / "clothes"])
    query = wardrobe.read_query(photo(tmp_path / "look.png", (255, 180, 180))).garments[0]
    found = {match.why: match.item.photo.stem for match in wardrobe.ideas(query, top=3)}
    assert found == {"all in all": "near", "color": "red", "tone": "bright"}


def test_items_come_page_by_page_and_by_id(wardrobe):
    items = wardrobe.items()
    assert [item.photo.stem for item in items] == sorted([item.photo.stem for item in items][:10]) + ["maroon"] * 2
    assert wardrobe.items(start=3, count=4) == items[3:7]
    assert wardrobe.item(items[5].id) == items[5]
    assert wardrobe.item("no such id") is None
