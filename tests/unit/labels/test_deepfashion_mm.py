"""File names of DeepFashion-MultiModal."""

import pandas as pd
import pytest

from stages.labels.deepfashion_mm import POSITIONS, parse_name, parse_names


def test_name_of_the_data_sets_readme_is_taken_apart():
    assert parse_name("WOMEN-Blouses_Shirts-id_00000001-02_1_front") == {
        "gender": "WOMEN",
        "type": "Blouses_Shirts",
        "id": "00000001",
        "n1": "02",
        "n2": "1",
        "pos": "front",
    }


@pytest.mark.parametrize("position", ["front", "side", "back", "full", "additional", "flat"])
def test_every_position_is_parsed(position):
    assert len(POSITIONS) == 6
    assert parse_name(f"MEN-Denim-id_00000080-01_7_{position}")["pos"] == position


@pytest.mark.parametrize(
    "name",
    [
        "KIDS-Denim-id_00000080-01_7_front",  # gender
        "MEN--id_00000080-01_7_front",  # no type
        "MEN-Denim-id_0000080-01_7_front",  # seven digits
        "MEN-Denim-id_00000080-01_front",  # no n2
        "MEN-Denim-id_00000080-01_7_top",  # position
        "MEN-Denim-id_00000080-01_7_front.jpg",  # a file name, not its stem
        "MEN-Denim-id_00000080-01_7_front\n",
        "men-Denim-id_00000080-01_7_front",
        "",
    ],
)
def test_other_names_are_not_parsed(name):
    assert parse_name(name) is None


def test_keys_of_person_item_and_photo():
    row = parse_names(pd.Series(["WOMEN-Blouses_Shirts-id_00000001-02_1_front"])).iloc[0]
    assert row["person"] == "WOMEN-id_00000001"
    assert row["instance"] == "WOMEN-Blouses_Shirts-id_00000001"
    assert row["photo"] == "WOMEN-id_00000001-02_1"


def test_bad_name_gives_a_row_of_nulls():
    rows = parse_names(pd.Series(["nonsense", "MEN-Pants-id_00000002-01_1_back"]))
    assert rows.loc[0].isna().all()
    assert rows.loc[1].notna().all()
