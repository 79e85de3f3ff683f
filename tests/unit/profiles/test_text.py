"""params.yaml as text: what it looks like, and edits by hand told from changed profiles."""

import subprocess
from pathlib import Path

import pytest
import yaml

from stages.core.errors import StageError
from stages.profiles import text
from stages.profiles.compose import compose
from stages.profiles.text import (
    NOTHING,
    RECORD,
    dumped,
    dumped_short,
    fingerprint,
    hand_edits,
    params_text,
    with_edits,
    write_params,
)

BASE = """
raw: data/raw
demo_sources: []
sources: [caps, shoes]
detectors: []
label_sources: []
encoders: [simclr, plain]
benchmarks: []
ablation_variants: []
ablation_tables: []
ingest: {caps: {reader: voc, shards: 2}, shoes: {reader: shoes, shards: 1}}
encoder: {plain: {kind: fir, learns_from: {table: dataset}}, deep: {kind: fir, learns_from: {table: dataset}}}
classifier: {epochs: 30, hidden: [512, 512], augment: {blur: 0.3}}
"""
PARAMS = Path("params.yaml")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one profile, committed, and its params.yaml."""
    monkeypatch.chdir(tmp_path)
    Path("profiles").mkdir()
    Path("profiles/base.yaml").write_text(BASE)
    Path("profiles/mine.yaml").write_text("{}")
    Path("profiles/other.yaml").write_text("classifier: {epochs: 5}\nencoders: [simclr]\n")
    for command in (["init", "-q"], ["add", "profiles"],
                    ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"]):  # fmt: skip
        subprocess.run(["git", *command], check=True)
    write_params(PARAMS, "mine", compose("mine"))
    return tmp_path


def edit(old, new):
    content = PARAMS.read_text()
    assert old in content
    PARAMS.write_text(content.replace(old, new))


def test_first_lines_name_the_profile_and_where_the_reasons_stand(project):
    lines = PARAMS.read_text().splitlines()
    assert lines[0].startswith("# Profile mine, composed from profiles/base.yaml and profiles/mine.yaml")
    assert lines[3] == f"# Composed values: {fingerprint(compose('mine'))}"
    assert yaml.safe_load(PARAMS.read_text()) == compose("mine")


def test_sections_stand_apart_and_long_lists_below_each_other():
    names = [f"encoder_number_{number}" for number in range(8)]
    assert dumped({"profile": "p", "names": names[:2], "a": {"b": 1, "c": {"d": None, "e": ["no", "1"]}}}) == (
        "profile: p\nnames: [encoder_number_0, encoder_number_1]\n\na:\n  b: 1\n  c: {d: null, e: ['no', '1']}\n"
    )
    assert dumped({"names": names}) == "names:\n" + "".join(f"- {name}\n" for name in names)


def test_shared_values_are_written_out():
    shared = {"one": 1}
    assert "&" not in dumped({"a": {"b": shared, "c": shared}})


def test_file_that_nobody_edited_has_no_edits_whatever_became_of_the_profiles(project):
    assert hand_edits(PARAMS) == {}
    Path("profiles/mine.yaml").write_text("classifier: {epochs: 7}\n")
    assert hand_edits(PARAMS) == {}
    PARAMS.write_text(PARAMS.read_text() + "# a comment\n")
    assert hand_edits(PARAMS) == {}


@pytest.mark.parametrize("lost", [[], [RECORD]])  # a fresh clone has no record
def test_edits_are_told_from_a_profile_that_changed_since(project, lost):
    edit("epochs: 30", "epochs: 40")
    Path("profiles/mine.yaml").write_text("classifier: {augment: {blur: 0.5}}\n")
    for path in lost:
        path.unlink()
    assert hand_edits(PARAMS) == {"classifier.epochs": (40, 30)}


def test_without_any_trace_of_what_was_composed_the_profiles_as_they_are_count(project):
    edit("epochs: 30", "epochs: 40")
    PARAMS.write_text("".join(line for line in PARAMS.read_text().splitlines(True) if not line.startswith("#")))
    Path("profiles/mine.yaml").write_text("classifier: {epochs: 7}\n")
    assert hand_edits(PARAMS) == {"classifier.epochs": (40, 7)}


def test_keys_that_came_or_went_are_edits(project):
    edit("shards: 2", "shard: 2")
    assert hand_edits(PARAMS) == {"ingest.caps.shards": (NOTHING, 2), "ingest.caps.shard": (2, NOTHING)}


def test_edits_are_kept_lists_with_what_follows_from_them(project):
    edit("encoders: [simclr, plain]", "encoders: [simclr, plain, deep]")
    edit("epochs: 30", "epochs: 40")
    edits = hand_edits(PARAMS)
    assert set(edits) == {"encoders", "classifier.epochs"}
    content = with_edits("mine", edits)
    assert (content["classifier"]["epochs"], list(content["encoder"])) == (40, ["plain", "deep"])
    assert content["trains"] == {"plain": "data/mine/dataset", "deep": "data/mine/dataset"}
    write_params(PARAMS, "mine", compose("mine"), content)
    assert hand_edits(PARAMS) == {
        "encoders": (["simclr", "plain", "deep"], ["simclr", "plain"]),
        "classifier.epochs": (40, 30),
        "encoder.deep.kind": ("fir", NOTHING),
        "encoder.deep.learns_from.table": ("dataset", NOTHING),
    }
    assert with_edits("mine", hand_edits(PARAMS)) == content


def test_edit_that_another_profile_has_no_place_for_is_refused(project):
    edit("{table: dataset}", "{table: mine}")
    with pytest.raises(StageError, match=r"profile other: edits of encoder.plain.learns_from.table cannot be kept"):
        with_edits("other", hand_edits(PARAMS))


def test_setting_that_was_taken_out_cannot_be_kept(project):
    edit("shards: 2", "{}".strip("{}") + "shard: 2")
    with pytest.raises(StageError, match="edits of ingest.caps.shards cannot be kept"):
        with_edits("mine", hand_edits(PARAMS))


@pytest.mark.parametrize(
    ("content", "message"),
    [("profile: gone\n", "its `profile` is none of mine, other"), ("profile: [\n", "not valid YAML")],
)
def test_file_of_no_profile_is_one_message(project, content, message):
    PARAMS.write_text(content)
    with pytest.raises(StageError, match=f"params.yaml: {message}"):
        hand_edits(PARAMS)


def test_missing_file_has_no_edits(project):
    PARAMS.unlink()
    assert hand_edits(PARAMS) == {}


def test_order_of_keys_does_not_count():
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 1.5})
    assert (
        params_text("p", {"a": 1})
        == f"{text.HEADER.format(name='p')}# Composed values: {fingerprint({'a': 1})}\n\na: 1\n"
    )


def test_a_short_text_says_the_same_in_few_lines_of_at_most_100_columns():
    names = [f"column {number}" for number in range(12)]
    content = {
        "sources": ["shop"],
        "ingest": {"shop": {"reader": "catalogue", "catalogue": {"table": "my  items.csv", "item_columns": names}}},
        "simclr": {"batch": 8, "knn_k": None},
    }
    text = dumped_short(content)
    assert yaml.safe_load(text) == content
    assert max(map(len, text.splitlines())) <= 100 and len(text.splitlines()) <= 8
    assert "simclr: {batch: 8, knn_k: null}" in text.splitlines()


def test_a_name_with_two_spaces_where_a_line_would_break_keeps_them():
    content = {"a": {"b": "x" * 80 + "  " + "y" * 40}}
    assert yaml.safe_load(dumped_short(content)) == content
