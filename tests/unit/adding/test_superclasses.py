"""Superclasses guessed from the words of a label."""

import pytest
from places import TABLES

from stages.adding.superclasses import guess, read_synonyms
from stages.core.errors import StageError

SYNONYMS = read_synonyms(TABLES)


@pytest.mark.parametrize(
    ("label", "superclass"),
    [
        ("T-Shirt", "top"), ("Linen shirt", "top"), ("Tees_Tanks", "vest"), ("short sleeve top", "top"),
        ("Chinos", "bottom"), ("Summer dress", "dress"), ("dress shirt", "top"), ("shirt dress", "dress"),
        ("Denim jacket", "outwear"), ("RAINCOATS", "outwear"), ("Dress shoes", "footwear"), ("Flip Flops", "footwear"),
        ("baseball cap", "headwear"), ("Winterjacke", "outwear"), ("Sommerkleid", "dress"), ("jupe plissée", "bottom"),
        ("zapatos", "footwear"), ("Jacken", "outwear"), ("Unterhemden", "top"), ("Mützen", "headwear"), ("Apparel > Topwear > Shirts", "top"),
        ("Gift card", ""), ("Not sure", ""), ("Handbags", ""),
        ("Formal", None), ("", None), ("17", None),
    ],
)  # fmt: skip
def test_the_last_garment_in_a_label_tells_its_superclass(label, superclass):
    assert guess(label, SYNONYMS).superclass == superclass


def test_a_guess_from_a_part_of_the_label_is_told_from_one_of_all_of_it():
    assert guess("T-Shirts", SYNONYMS).sure
    assert not guess("Linen shirt", SYNONYMS).sure
    assert guess("Linen shirt", SYNONYMS).word == "shirt"


@pytest.mark.parametrize("name", ["types.csv", "deepfashion2_classes.csv", "clothing_dataset_labels.csv"])
def test_names_of_the_projects_own_tables_are_guessed_as_they_stand_there(name):
    """The table of synonyms knows most labels of published data sets: at least nine in ten, and few of them wrong."""
    import csv

    groups = {"Topwear": {"top", "outwear", "vest"}, "Bottomwear": {"bottom"}, "Dress": {"dress"},
              "Headwear": {"headwear"}, "Footwear": {"footwear"}}  # fmt: skip
    rows = list(csv.DictReader((TABLES / name).open(encoding="utf-8")))
    column = {"types.csv": "type", "deepfashion2_classes.csv": "category_name"}.get(name, "label")
    right = [
        guess(row[column], SYNONYMS).superclass in groups.get(row.get("group", ""), {row.get("superclass")})
        for row in rows
    ]
    assert sum(right) >= 0.9 * len(rows), [row[column] for row, good in zip(rows, right, strict=True) if not good]


def test_a_table_of_synonyms_with_a_fault_is_one_message(tmp_path):
    (tmp_path / "superclasses.csv").write_text("id,superclass\n0,top\n")
    (tmp_path / "superclass_synonyms.csv").write_text("words,superclass\nshirt,tops\n")
    with pytest.raises(StageError, match=r"line 2: superclass 'tops'; expected one of top, or nothing"):
        read_synonyms(tmp_path)
    (tmp_path / "superclass_synonyms.csv").write_text("words,superclass\nshirt|tee,top\nTee,top\n")
    with pytest.raises(StageError, match=r"line 3: 'Tee' stands there twice"):
        read_synonyms(tmp_path)
