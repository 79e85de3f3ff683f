"""Recipes in params.yaml: every profile's are valid, and what is wrong in one is said by its key."""

import pytest

from profiles import NAMES as PROFILES
from profiles import composed
from stages.core.errors import StageError
from stages.encoders.recipes import read_recipe

SCHEDULE = {"epochs": 1, "batch": 2, "learning_rate": 0.1, "drop_factor": 0.1, "weight_decay": 0.0}


@pytest.mark.parametrize("name", PROFILES)
def test_recipes_of_the_profiles_are_valid(name):
    content = composed(name)
    for encoder in content["trained_encoders"]:
        read_recipe(encoder, content)


def test_published_numbers_stand_in_the_paper_profile():
    encoder = composed("paper")["encoder"]
    assert encoder["attention"]["network"]["widths"] == [64, 128, 256]
    assert (
        encoder["attention"]["schedule"] | {"epochs": 40, "batch": 64, "learning_rate": 1e-5}
        == encoder["attention"]["schedule"]
    )
    assert encoder["attention"]["losses"]["gamma_div"] == 0.01 and encoder["attention"]["losses"]["gamma_loc"] == 0.1
    fir = encoder["fir_oc_is"]
    assert (fir["margin"], fir["beta"], fir["alpha"]) == (0.3, 0.1, 1.0)
    assert (fir["schedule"]["learning_rate"], fir["schedule"]["drop_at"], fir["schedule"]["drop_factor"]) == (
        1e-4,
        [100, 150],
        0.1,
    )
    chosen = composed("paper")["benchmark"][encoder["siamese"]["learns_from"]["table"]]
    assert (chosen["protocol"], chosen["min_category_images"], encoder["siamese"]["min_images"]) == (
        "stratified",
        100,
        2,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "firr"}, r"`encoder.mine.kind` is 'firr', expected one of: attention, ensemble, fir, frozen"),
        ({"marjin": 1}, r"`encoder.mine.marjin` is not a known key, did you mean `margin`"),
        ({"margin": 0}, r"`encoder.mine.margin` is 0: Input should be greater than 0"),
        ({"losses": ["OX"]}, r"`encoder.mine.losses.0` is 'OX'"),
        ({"seed": -1}, r"`encoder.mine.seed` is -1"),
        ({"schedule": SCHEDULE | {"drop_at": [0]}}, r"`encoder.mine.schedule.drop_at.0` is 0"),
    ],
)
def test_mistake_in_a_recipe_names_its_key(changes, message, recipe_values):
    values = recipe_values("fir") | changes
    with pytest.raises(StageError, match=message):
        read_recipe("mine", {"encoder": {"mine": values}})


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_weight_of_an_ensemble_outside_0_and_1_is_refused(share, recipe_values):
    values = recipe_values("ensemble", shares=[0.5, share])
    with pytest.raises(StageError, match=rf"`encoder.mine.shares.1` is {share}"):
        read_recipe("mine", {"encoder": {"mine": values}})
