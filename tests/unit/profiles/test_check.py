"""`make use` refuses a recipe that its table cannot serve, before anything runs."""

from copy import deepcopy

import pytest

from profiles import FOLDER, composed, whole
from stages.core.errors import StageError
from stages.encoders.recipes import read_recipe
from stages.profiles.check import check
from stages.profiles.compose import compose, merged, read_profile
from stages.runner.lists import OWN_STAGES

PAPER = FOLDER / "paper.yaml"


def changed(**recipes):
    """Profile paper with changes of some recipes."""
    content = deepcopy(composed("paper"))
    for name, changes in recipes.items():
        content["encoder"][name] = merged(content["encoder"][name], changes)
    return content


def able(profile):
    """Encoders of a profile, listed or not, with their tables: no templates, and those that its sources have."""
    there, said = whole(profile), read_profile(profile, FOLDER)["encoder"]
    templates = {recipe.get("based_on") for recipe in said.values()}
    for name, recipe in there["encoder"].items():
        table = recipe["learns_from"]["table"]
        try:
            read_recipe(name, there)
        except StageError:
            assert name in templates
            continue
        if table == "dataset" or there["benchmark"][table]["source"] in there["sources"]:
            yield name, table


@pytest.mark.parametrize("profile", ["demo", "paper"])  # the photos' data set has no items for most of them
def test_table_of_every_recipe_has_what_the_recipe_selects_by(profile):
    """Listed or not: a list may name it tomorrow."""
    there, tables = whole(profile), dict(able(profile))
    benchmarks = list(dict.fromkeys([*there["benchmarks"], *(set(tables.values()) - {"dataset"})]))
    lists = {"encoders": [*OWN_STAGES, *tables], "benchmarks": benchmarks}
    check(compose(profile, FOLDER, lists), FOLDER / f"{profile}.yaml")
    for name, table in tables.items():
        kind = there["benchmark"][table]["kind"] if table != "dataset" else "dataset"
        if kind in ("image_category", "multilabel"):
            assert there["encoder"][name]["validation"]["select"] != "hit_at_1", (
                f"{name}: its training rows have no items"
            )
    assert set(tables) >= set(there["encoders"]) - set(OWN_STAGES)
    assert "fir_category" in tables and ("seresnext50_category" in tables) == (profile == "paper")


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        (
            "seresnext50_category",
            {"validation": {"select": "hit_at_1"}},
            "select: hit_at_1` needs items and learns from",
        ),
        ("attention", {"validation": {"select": "knn"}}, "`encoder.attention.validation.select: knn` needs categories"),
        (
            "normsoftmax",
            {"validation": {"select": "loss"}},
            "`encoder.normsoftmax.validation.select` is loss, and kind normsof",
        ),
        ("fir_category", {"losses": ["OC", "IS"]}, "`encoder.fir_category.losses: IS` needs items"),
        ("siamese", {"min_images": 3}, "`encoder.siamese.min_images` is 3, but benchmark category_fine_frequent has"),
    ],
)
def test_recipe_that_its_table_cannot_serve_is_refused(name, changes, message):
    check(changed(), PAPER)
    with pytest.raises(StageError, match=message):
        check(changed(**{name: changes}), PAPER)


def test_siamese_network_may_count_where_no_benchmark_has():
    check(
        changed(siamese={"min_images": 100, "learns_from": {"table": "category_fine"}}) | trains("category_fine"), PAPER
    )


def trains(table):
    """The derived key for a siamese network that learns from another table."""
    return {"trains": composed("paper")["trains"] | {"siamese": f"data/paper/benchmarks/{table}"}}


def salient_photos(**detector):
    """Profile photos, which has boxes of the salient network."""
    content = composed("photos")
    return content | {"detector": {"photos": content["detector"]["photos"] | detector}}


def crops_of_photos(**changes):
    """Profile photos with other crops."""
    return composed("photos") | {"crops": composed("photos")["crops"] | changes}


WITHOUT_SALIENT = {"salient": {}, "salient_sources": [], "box_reads": {"photos": "data/photos/ingested/photos"}}


PHOTOS = FOLDER / "photos.yaml"


def test_source_with_a_detector_and_labels_of_its_own_may_have_salient_boxes():
    check(salient_photos(), PHOTOS)


def test_crops_may_be_cut_by_the_trained_detector_with_salient_boxes_and_without():
    content = crops_of_photos(boxes="detectors", background="photo") | {"crop_boxes": "models/photos/detectors"}
    check(content, PHOTOS)
    check(content | WITHOUT_SALIENT, PHOTOS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (salient_photos() | {"salient": {"photos": "some"}}, "`salient.photos` is 'some'"),
        (salient_photos() | {"classifier": salient_photos()["classifier"] | {"heads": ["color"]}}, "classifier's head `type`"),
        (salient_photos(unboxed_is_background=True), "`detector.photos.unboxed_is_background` is true"),
        (salient_photos(class_column="detector"), "`detector.photos.class_column` is detector, and boxes of `salient`"),
        (salient_photos() | {"detectors": [], "detector": {}, "box_reads": {}}, "`salient` names photos, which `detectors` has not"),
        (composed("photos") | WITHOUT_SALIENT, "`crops.boxes` is salient, and `salient` does not name photos, whose crops are cut"),
        (crops_of_photos(agreement="required"), "`crops.boxes` is salient, and its boxes have no class"),
        (crops_of_photos(boxes="detectors") | {"crop_boxes": "models/photos/detectors"}, "`crops.background` is plain, which needs the masks"),
        (salient_photos() | {"salient_sources": []}, "`salient_sources` is .., but the lists and recipes say .'photos'."),
    ],
)  # fmt: skip
def test_salient_boxes_that_no_detector_could_learn_from_are_refused(content, message):
    with pytest.raises(StageError, match=message):
        check(content, PHOTOS)


def test_salient_boxes_need_one_label_for_each_photo():
    content = salient_photos()
    labels = content["labels"] | {"policies": {"photos": "fashion_products"}}
    with pytest.raises(StageError, match="`salient.photos`: a box gets its class from the photo's one label"):
        check(content | {"labels": labels}, PHOTOS)
