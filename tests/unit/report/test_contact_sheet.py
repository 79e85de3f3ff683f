"""The contact sheet finds the pictures of every source by the ids of the truth."""

from pathlib import Path

import pytest
from small_demo import SMALL

from stages.core.errors import StageError
from stages.report.contact_sheet import chosen, image_paths, sheet


@pytest.mark.parametrize("source", sorted(SMALL))
def test_every_image_of_the_truth_is_found(source: str, drawn: Path, truth) -> None:
    image_ids = {row["image_id"] for row in truth(source)}
    paths = image_paths(drawn / source, image_ids)
    assert set(paths) == image_ids
    assert len(set(paths.values())) == len(image_ids)


def test_even_stride_over_the_ids() -> None:
    assert chosen(list("abcdefgh"), 4) == ["a", "c", "e", "g"]
    assert chosen(list("abc"), 40) == ["a", "b", "c"]


def test_sheet_has_four_rows_of_ten(drawn: Path) -> None:
    image = sheet(drawn / "deepfashion2", drawn / "truth" / "deepfashion2")
    assert image.width == 10 * 120
    assert image.height == 4 * (150 + 15)


def test_folder_of_another_source_is_one_message(drawn: Path) -> None:
    with pytest.raises(StageError, match="no image of"):
        sheet(drawn / "headwear", drawn / "truth" / "deepfashion2")
