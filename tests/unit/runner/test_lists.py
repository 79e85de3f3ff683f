"""What follows from the lists of params.yaml, and lists that do not fit their sections."""

import pytest

from stages.core.errors import StageError
from stages.runner.lists import benchmark_reads, check_lists, derived, trained


def test_what_a_small_params_file_does_not_have_is_not_checked():
    check_lists({"encoders": ["simclr", "mine"], "detectors": []})


CROP = {"padding": 0.05, "max_side": 256, "min_side": 16, "jpeg_quality": 92}
INSHOP = {"kind": "inshop", "source": "inshop", "boxes": "whole", "crop": CROP}


def test_a_benchmark_depends_on_its_images_and_on_the_detector_that_it_uses():
    worn = {"kind": "wardrobe", "source": "df"}
    pairs = INSHOP | {"kind": "pairs", "source": "df2", "boxes": "detected", "detection": {"detector": "clothes"}}
    annotated = {"kind": "pairs", "source": "clothes", "boxes": "annotated"}
    content = {
        "profile": "p",
        "detectors": ["clothes"],
        "benchmarks": ["worn", "shop", "found", "annotated", "unmerged"],
        "benchmark": {
            "worn": worn, "shop": INSHOP, "found": pairs, "annotated": annotated,
            "unmerged": annotated | {"source": "df2"},
        },
    }  # fmt: skip
    assert benchmark_reads(content) == {
        "worn": {"images": "data/p/dataset", "model": "data/p/dataset"},
        "shop": {"images": "data/p/ingested/inshop", "model": "data/p/ingested/inshop"},
        "found": {"images": "data/p/ingested/df2", "model": "models/p/detectors/clothes"},
        # The box table of the detector that learns from these garments says which class each is of.
        "annotated": {"images": "data/p/ingested/clothes", "model": "data/p/boxes/clothes"},
        "unmerged": {"images": "data/p/ingested/df2", "model": "data/p/ingested/df2"},
    }


CONTENT = {
    "profile": "p", "demo_sources": [], "sources": ["shoes"], "detectors": [], "label_sources": [],
    "encoders": ["simclr", "mine"], "benchmarks": [], "ablation_variants": [], "ablation_tables": [],
    "encoder": {"mine": {"learns_from": {"table": "photos"}}},
}  # fmt: skip


def test_encoders_that_stages_of_their_own_train_are_not_trained_again():
    assert trained(["simclr", "mine", "classifier"]) == ["mine"]


def test_what_follows_from_the_lists_and_the_recipes():
    assert derived(CONTENT) == {
        "drawn": [], "salient_sources": [], "crop_boxes": "models/p/detectors", "box_reads": {},
        "trained_encoders": ["mine"], "trains": {"mine": "data/p/benchmarks/photos"}, "benchmark_reads": {},
    }  # fmt: skip
    drawn = derived(CONTENT | {"demo_sources": ["shoes"], "encoder": {"mine": {}}})
    assert (drawn["drawn"], drawn["trains"]) == (["all"], {"mine": "data/p/dataset"})


def test_detector_reads_the_boxes_that_the_salient_network_drew_where_there_are_some():
    found = derived(CONTENT | {"detectors": ["shoes", "shop"], "salient": {"shop": "all"}})
    assert found["salient_sources"] == ["shop"]
    assert found["box_reads"] == {"shoes": "data/p/ingested/shoes", "shop": "data/p/salient/shop"}


def test_crops_are_cut_by_the_boxes_that_params_name():
    salient = CONTENT | {"crops": {"boxes": "salient"}}
    assert derived(salient)["crop_boxes"] == "data/p/salient"
    assert derived(CONTENT | {"crops": {"boxes": "detectors"}})["crop_boxes"] == "models/p/detectors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ingest": {"shoes": {}}}, None),
        ({"ingest": {}}, r"`ingest` does not fit the lists: no section for shoes\. .*make use PROFILE="),
        ({"ingest": {"shoes": {}, "hats": {}}}, "`ingest` does not fit the lists: no list names hats"),
        ({"trained_encoders": ["mine"]}, None),
        ({"trained_encoders": []}, r"`trained_encoders` is \[\], but the lists and recipes say \['mine'\]"),
    ],
)
def test_sections_and_derived_values_that_do_not_fit_the_lists_are_refused(change, message):
    if message is None:
        check_lists(CONTENT | change)
        return
    with pytest.raises(StageError, match=message):
        check_lists(CONTENT | change, "mine.yaml")
