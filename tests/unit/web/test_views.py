"""What a person reads: names, shares, choices."""

import pytest
from fake_wardrobe import FakeWardrobe, query_garment

from stages.web import views


@pytest.mark.parametrize(
    ("share", "text"), [(None, ""), (0.934, "93 %"), (0.999, "99 %"), (0.001, "1 %"), (1.0, "100 %"), (0.0, "0 %")]
)
def test_share_is_a_percentage_that_claims_no_certainty(share, text):
    assert views.percent(share) == text


def test_type_and_color_come_first_then_heads_by_name():
    assert views.in_order(["usage", "color", "fabric", "type"]) == ["type", "color", "fabric", "usage"]


def test_title_of_a_garment_is_what_is_sure_and_else_its_class():
    assert views.title_of(query_garment().attributes, "top") == "Blue Tops"
    assert views.title_of(query_garment(sure=False).attributes, "top") == "Tops"
    unsure = {"type": query_garment(sure=False).attributes["color"]}
    assert views.title_of(query_garment().attributes | unsure, "top") == "Blue top"
    assert views.title_of({}, "soccer_shoe") == "soccer shoe"
    assert views.title_of({}, "none") == "whole photo"


def test_choices_are_the_most_frequent_first_without_those_that_nothing_has():
    facets = {"superclass": {"top": 1}, "usage": {"Casual": 1}, "color": {"Red": 1, "Blue": 5, "Teal": 0, "Black": 1}}
    assert [(head, [choice.value for choice in own]) for head, own in views.choices(facets)] == [
        ("color", ["Blue", "Black", "Red"]), ("usage", ["Casual"]),
    ]  # fmt: skip


def test_selections_become_filters_and_empty_ones_none():
    assert views.filters("", {"color": "", "type": "Tops"}) == views.Filters(frozenset(), {"type": frozenset({"Tops"})})
    assert views.filters("*", {}) == views.Filters()
    assert views.filters("top", {}).superclasses == {"top"}


def test_correction_is_told_from_a_detection_and_from_a_whole_photo():
    assert views.garment(0, query_garment())["share"] == "90 %"
    assert views.garment(0, query_garment(confidence=None))["note"] == "corrected"
    assert views.garment(0, query_garment("none", None, None))["note"] == "no garment detected"


def test_file_name_that_is_no_text_can_be_shown():
    card = views.card(FakeWardrobe().rows[2])
    assert card["file"] == "caf\\xe9.jpg"
    card["file"].encode()


def test_templates_escape_what_they_are_given():
    template = views.environment().from_string("{{ name }}")
    assert template.render(name="<b>&\"'\udce9") == "&lt;b&gt;&amp;&#34;&#39;\\xe9"


def test_address_of_style_and_script_changes_with_their_content(monkeypatch):
    before = views.environment().globals["version"]
    monkeypatch.setattr(views, "own_files", lambda: {"page.css": b"other"})
    assert views.environment().globals["version"] != before
