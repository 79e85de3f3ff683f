"""Composition: inheritance, lists, and what follows from them, on a profile small enough to work out by hand."""

import pytest
import yaml

from stages.core.errors import StageError
from stages.profiles.compose import compose, members, profile_names, read_profile
from stages.runner.lists import check_lists

BASE = """
raw: data/raw
demo_sources: []
sources: [caps]
detectors: []
label_sources: [caps]
encoders: [simclr, plain, deep]
benchmarks: [own]
ablation_variants: []
ablation_tables: []
ingest:
  defaults: {shards: 2, near: {hamming: 12, color: 4}}
  caps: {reader: voc, near: {color: 5}}
  shoes: {reader: shoes}
labels: {policies: {caps: catalogue, shoes: other}, catalogues: {caps: {table: t.csv}}}
encoder:
  defaults: {learns_from: {table: dataset}, seed: 0}
  family: {kind: fir, width: 64}
  plain: {based_on: family, width: 32}
  deep: {based_on: plain, learns_from: {table: own}}
benchmark: {own: {kind: inshop}, other: {kind: pairs}}
"""


@pytest.fixture
def folder(tmp_path):
    """``folder(text)``: profiles with this one called mine."""

    def make(text="{}", base=BASE):
        (tmp_path / "base.yaml").write_text(base)
        (tmp_path / "mine.yaml").write_text(text)
        return tmp_path

    return make


def test_members_inherit_defaults_then_what_they_are_based_on(folder):
    content = compose("mine", folder())
    assert content["ingest"] == {"caps": {"reader": "voc", "shards": 2, "near": {"hamming": 12, "color": 5}}}
    assert content["encoder"] == {
        "plain": {"kind": "fir", "width": 32, "learns_from": {"table": "dataset"}, "seed": 0},
        "deep": {"kind": "fir", "width": 32, "learns_from": {"table": "own"}, "seed": 0},
    }


def test_change_of_a_family_reaches_every_member_of_it_but_what_a_member_says_itself_stays(folder):
    content = compose("mine", folder("encoder: {family: {kind: siamese, width: 8}, defaults: {seed: 5}}"))
    assert content["encoder"]["plain"] == {
        "kind": "siamese", "width": 32, "learns_from": {"table": "dataset"}, "seed": 5,
    }  # fmt: skip


def test_only_what_the_lists_name_is_there_and_what_follows_is_derived(folder):
    content = compose("mine", folder("{sources: [shoes], label_sources: [shoes], encoders: [deep, classifier]}"))
    assert list(content["ingest"]) == ["shoes"] and list(content["encoder"]) == ["deep"]
    assert content["labels"] == {"policies": {"shoes": "other"}, "catalogues": {}}
    assert (content["profile"], content["drawn"], content["trained_encoders"]) == ("mine", [], ["deep"])
    assert content["trains"] == {"deep": "data/mine/benchmarks/own"}
    assert compose("mine", folder())["trains"]["plain"] == "data/mine/dataset"
    assert compose("mine", folder(), {"encoders": ["simclr"]})["trains"] == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("encoders: [plane]", "a list names plane, which `encoder` has not; it has: deep, family, plain"),
        ("encoders: plain", "`encoders` is 'plain', expected a list of names"),
        ("encoders: [plain, plain]", "`encoders` has a name twice"),
        ("encoder: {plain: {based_on: flat}}", "`encoder.plain` is based on 'flat'; encoder has: deep, family, plain"),
        ("encoder: {family: {based_on: deep}}", "family is based on deep is based on plain is based on family"),
        ("encoder: {plain: 3}", "`encoder.plain` is 3, expected a mapping of settings"),
        ("trained_encoders: [plain]", "trained_encoders follow from the lists"),
        ("profile: other", "profile follow from the lists"),
    ],
)
def test_mistake_in_a_profile_is_one_message(folder, text, message):
    with pytest.raises(StageError, match=message):
        compose("mine", folder(text))


def test_unknown_profile_is_answered_with_those_there_are(folder):
    with pytest.raises(StageError, match="no profile 'yours'; there are: mine"):
        compose("yours", folder())
    with pytest.raises(StageError, match="no profile 'base'; there are: mine"):
        compose("base", folder())


def test_lists_are_taken_over_as_a_whole_and_inheritance_leaves_its_sources_alone():
    section = {"defaults": {"ks": [1, 2]}, "one": {"ks": [3]}, "two": {}}
    before = yaml.safe_dump(section)
    assert members("evaluate", section) == {"one": {"ks": [3]}, "two": {"ks": [1, 2]}}
    assert yaml.safe_dump(section) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoders": ["simclr", "plain"]}, "`encoder` does not fit the lists: no list names deep"),
        ({"sources": ["caps", "bags"]}, "`ingest` does not fit the lists: no section for bags"),
        ({"trained_encoders": ["deep"]}, r"`trained_encoders` is \['deep'\], but the lists and recipes say \['plain', 'deep'\]"),
        ({"drawn": ["all"]}, r"`drawn` is \['all'\], but the lists and recipes say \[\]"),
        ({"trains": {}}, "`trains` is {}, but the lists and recipes say {'plain': 'data/mine/dataset'"),
    ],
)  # fmt: skip
def test_params_that_contradict_each_other_are_refused_with_how_a_list_is_changed(folder, change, message):
    content = compose("mine", folder())
    check_lists(content)
    with pytest.raises(StageError, match=f"params.yaml: {message}.*a list, .*changes by `make use PROFILE="):
        check_lists(content | change)


@pytest.fixture
def layered(tmp_path):
    for name, content in {
        "base": {"a": 1, "b": {"c": 1, "d": 1, "e": 1}},
        "own": {"b": {"d": 2, "e": 2}},
        "mine": {"based_on": "own", "b": {"e": 3}},
        "plain": {"b": {"e": 3}},
        "wrong": {"based_on": "plain"},
    }.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_the_layer_lies_over_the_base_and_below_the_profile(layered):
    assert read_profile("mine", layered) == {"a": 1, "b": {"c": 1, "d": 2, "e": 3}}
    assert read_profile("plain", layered) == {"a": 1, "b": {"c": 1, "d": 1, "e": 3}}


def test_a_layer_is_no_profile_and_a_profile_no_layer(layered):
    assert profile_names(layered) == ["mine", "plain", "wrong"]
    with pytest.raises(StageError, match="no profile 'own'; there are: mine, plain, wrong"):
        read_profile("own", layered)
    with pytest.raises(StageError, match=r"profiles/wrong.yaml: `based_on` is 'plain'; expected one of: own"):
        read_profile("wrong", layered)
