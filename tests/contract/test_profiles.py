"""Every profile composes into params that the stages take, and the committed params.yaml is the demo's."""

import pytest
import yaml

from profiles import FOLDER, NAMES, composed, whole
from stages.classifier.ablation import VariantParams, variant_of
from stages.core.params import load_params, section
from stages.networks.classifier import ClassifierParams
from stages.profiles.check import check
from stages.profiles.compose import compose, merged
from stages.profiles.text import params_text
from stages.runner.lists import LISTS

ROOT = FOLDER.parent
UPON_REQUEST = {"fashion_siglip"}  # encoders that no profile lists: they need packages beyond requirements.txt


@pytest.mark.parametrize("name", NAMES)
def test_profile_composes_and_every_stage_takes_its_section(name):
    check(composed(name), FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("name", NAMES)
def test_every_variant_of_the_ablation_is_a_classifier(name):
    classifier = section(ClassifierParams, "classifier", composed(name))
    for variant in whole(name)["ablation"]:
        variant_of(variant, section(VariantParams, f"ablation.{variant}", whole(name)), classifier)


def test_committed_params_are_what_use_demo_writes():
    assert (ROOT / "params.yaml").read_text(encoding="utf-8") == params_text("demo", composed("demo"))


@pytest.mark.parametrize("name", NAMES)
def test_profile_says_nothing_that_the_base_says_already(name):
    base, profile = load_params(FOLDER / "base.yaml"), load_params(FOLDER / f"{name}.yaml")

    def repeated(there, said, prefix=""):
        for key, value in said.items():
            if isinstance(value, dict) and isinstance(there.get(key), dict):
                yield from repeated(there[key], value, f"{prefix}{key}.")
            elif key in there and there[key] == value:
                yield f"{prefix}{key}"

    assert list(repeated(base, profile)) == []
    assert merged(base, profile) != base


def test_every_profile_can_run_everything_that_the_base_offers():
    """What no profile lists would never be checked."""
    listed = {key: {one for name in NAMES for one in composed(name)[key]} for key in LISTS}
    base = load_params(FOLDER / "base.yaml")
    templates = {"frozen", "trained", "fir", "upstream", "category"}
    assert set(base["ingest"]) - {"defaults"} <= listed["sources"]
    assert set(base["detector"]) - {"defaults"} <= listed["detectors"]
    assert set(base["encoder"]) - {"defaults"} - templates - UPON_REQUEST <= listed["encoders"]
    assert set(base["benchmark"]) - templates <= listed["benchmarks"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("encoder", UPON_REQUEST)
def test_encoder_of_a_package_that_few_need_fits_every_profile_that_adds_it(name, encoder):
    lists = {"encoders": [*composed(name)["encoders"], encoder]}
    check(compose(name, FOLDER, lists), FOLDER / f"{name}.yaml")


def test_photos_has_no_demo_section_and_the_demo_only_its_encoders():
    assert "demo" not in composed("photos") and "ablation" not in composed("photos")
    assert list(composed("photos")["encoder"]) == ["untrained", "imagenet"]
    assert len(composed("demo")["encoder"]) == 8
    assert yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) == composed("demo")
