"""Attributes and names of files as text for people."""

import os

import numpy as np
import pytest

from stages.app.items import Attribute, describe, named_attributes, shown_path, where

HEADS = {"color": ["red", "blue"], "type": ["Jeans", "Shirts", "Tops"]}


def test_attribute_is_the_most_probable_class_of_its_own_head():
    found = named_attributes(np.array([0.4, 0.6, 0.2, 0.3, 0.5], np.float32), HEADS, unsure_below=0.6)
    assert found["color"] == Attribute("blue", pytest.approx(0.6), True)
    assert found["type"] == Attribute("Tops", pytest.approx(0.5), False)
    assert describe(found) == "color blue 60%, type not sure (Tops 50%)"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a b.jpg", "a b.jpg"),
        ("line\nbreak\t.jpg", r"line\nbreak\t.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), r"caf\xe9.jpg"),
        ("Blu\u0308se.jpg", "Bl\u00fcse.jpg"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
    ],
)
def test_name_of_a_file_is_one_printable_line(name, text):
    assert shown_path(name) == text


def test_place_of_a_garment():
    assert where("top", (1, 2, 3, 4)) == "top at (1, 2, 3, 4)"
    assert where("none", None) == "whole photo"
