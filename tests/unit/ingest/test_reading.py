"""What readers share: upstream's splits, rows of boxes, numbers, and params of a source."""

import pytest
from trees import params

from stages.contracts.tables import unit_hash
from stages.core.errors import StageError
from stages.core.params import section
from stages.ingest.reading import IngestParams, ShoesOptions, box_row, numbers, require_folder, upstream_image


def test_upstreams_validation_is_the_test_and_a_share_of_its_train_groups_is_val(tmp_path):
    groups = [f"g{number}" for number in range(200)]
    images = [upstream_image("i", tmp_path, "train", group, 0.25) for group in groups]
    assert [image.split for image in images] == ["val" if unit_hash(group) < 0.25 else "train" for group in groups]
    assert 30 < sum(image.split == "val" for image in images) < 70
    assert all(image.ours for image in images)  # upstream did not say which of the two
    test = upstream_image("i", tmp_path, "validation", "g", 0.25)
    assert (test.split, test.group, test.ours) == ("test", "g", False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, "2.5", 3, -4], [1, 2.5, 3, -4]),
        ((1, 2, 3, 4), [1, 2, 3, 4]),
        ([1, 2, 3], None),
        ([1, 2, 3, "x"], None),
        ([1, 2, 3, None], None),
        ([1, 2, 3, float("nan")], None),
        ([1, 2, 3, "inf"], None),
        ("1234", None),
        ({1: 1}, None),
    ],
)
def test_four_finite_numbers_or_none(values, expected):
    assert numbers(values) == expected


def test_as_many_numbers_as_are_asked_for():
    assert numbers([1, 2], count=2) == [1, 2]


def test_row_of_a_box_has_a_composed_class():
    row = box_row("i:1", "i", "Blu\u0301se", [1, 2, 3, 4])
    assert (row["class_name"], row["x1"], row["y2"], row["pair_id"], row["style"]) == ("Bl\u00fase", 1, 4, None, None)


def test_missing_folder_is_one_message_with_what_lies_beside_it(tmp_path):
    (tmp_path / "images").mkdir()
    assert require_folder(tmp_path / "images", "src", "images/") == tmp_path / "images"
    with pytest.raises(
        StageError, match=r"source src: no folder .*photos\. Expected photos/\. Found beside it: images\."
    ):
        require_folder(tmp_path / "photos", "src", "photos/")
    with pytest.raises(StageError, match=r"Found beside it: no folder .*gone either"):
        require_folder(tmp_path / "gone/photos", "src", "photos/")


def test_display_of_the_shoes_is_known_or_not_and_nothing_between():
    assert ShoesOptions(display_width=800, display_height=600).display == (800, 600)
    assert ShoesOptions(display_width=None, display_height=None).display is None
    values = params("shoes").model_dump() | {"shoes": {"display_width": 800, "display_height": None}}
    with pytest.raises(StageError, match="must be given together, or both be null"):
        section(IngestParams, "ingest.shoes", {"ingest": {"shoes": values}})


def test_reader_that_is_none_is_one_message():
    values = params("voc").model_dump() | {"reader": "excel"}
    with pytest.raises(StageError, match="`ingest.src.reader` is 'excel'"):
        section(IngestParams, "ingest.src", {"ingest": {"src": values}})
