"""Section ``benchmark``: each kind has its own keys, and what the profiles say is valid."""

import pytest

from stages.benchmarks.benchmark import SELECT
from stages.benchmarks.params import KEYS, UPSTREAM, BenchmarkParams
from stages.core.errors import StageError
from stages.core.params import section
from stages.runner.lists import OF_DATASET

CROP = {"padding": 0.05, "max_side": 256, "min_side": 16, "jpeg_quality": 92}
DETECTION = {"detector": "caps", "confidence": 0.1, "overlap": 0.5, "batch": 8}
INSHOP = {"kind": "inshop", "source": "inshop", "boxes": "whole", "crop": CROP}


def read(params):
    return section(BenchmarkParams, "benchmark.b", {"benchmark": {"b": params}})


def test_kinds_over_the_data_set_are_those_that_are_over_no_upstream_tree():
    assert set(OF_DATASET) == set(KEYS) - set(UPSTREAM)


def test_every_kind_over_an_upstream_tree_has_its_selection():
    assert set(SELECT) == set(UPSTREAM) == set(KEYS) - {"wardrobe", "category"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"item_column": "type"}, "kind inshop has no item_column"),
        ({"source": None}, "kind inshop needs source and crop"),
        ({"crop": None}, "kind inshop needs source and crop"),
        ({"boxes": "detected"}, "boxes: detected needs detection, and kind pairs"),
        ({"crop": CROP | {"padding": -1}}, "`benchmark.b.crop.padding` is -1"),
        ({"crop": CROP | {"shape": "square"}}, "`benchmark.b.crop.shape` is not a known key"),
        ({"detection": DETECTION}, "detection is for boxes: detected alone"),
        ({"kind": "image_category"}, "kind image_category needs min_category_images, protocol as well"),
        ({"kind": "outfits"}, "`benchmark.b.kind` is 'outfits'"),
    ],
)
def test_keys_that_do_not_belong_to_the_kind_are_refused_by_name(change, message):
    with pytest.raises(StageError, match=message):
        read(INSHOP | change)


def test_a_missing_key_is_named():
    with pytest.raises(StageError, match="kind inshop needs boxes as well"):
        read({"kind": "inshop", "source": "inshop", "crop": CROP})


WARDROBE = {
    "kind": "wardrobe",
    "source": "df",
    "query_views": ["front"],
    "gallery_views": ["flat"],
    "same_colorway": False,
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": None}, "kind wardrobe needs source"),
        ({"gallery_views": []}, "kind wardrobe needs source"),
        ({"kind": "category"}, "kind category needs item_column"),
        ({"item_column": "hue"}, "`b.item_column` is 'hue'"),
        ({"kind": "outfits"}, "`b.kind` is 'outfits'"),
        ({"kind": "inshop"}, "kind inshop needs boxes, crop as well"),
        ({"boxes": "whole"}, "kind wardrobe has no boxes"),
    ],
)
def test_incomplete_params_are_refused_by_name(change, message):
    with pytest.raises(StageError, match=message):
        section(BenchmarkParams, "b", {"b": WARDROBE | change})
