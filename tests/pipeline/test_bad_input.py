"""Bad input through the commands that users run: one message with what was found, expected, and to do."""

import sys
from pathlib import Path

import pytest
import yaml
from commands import run

import stages.run

ROOT = Path(__file__).resolve().parents[2]
INGEST = ("ingest", "shoes", "raw/shoes", "annotations", "tables", "out")


def edit(checkout, change):
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    change(params)
    (checkout / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


@pytest.fixture
def start(checkout, monkeypatch, capsys):
    """``start(name, *arguments)``: status and messages of a stage or command, as ``python -m stages.run`` starts it.

    It runs in this process, because a new one takes seconds to import torch. The first test starts a process.
    """
    monkeypatch.chdir(checkout)
    monkeypatch.setattr(stages.run, "start_process", lambda: None)  # it would start this process anew
    monkeypatch.setenv("SEAMLINE_STARTED", "0")
    monkeypatch.setattr(sys, "argv", sys.argv)

    def started(name, *arguments):
        try:
            stages.run.start(name, f"stages.run {name}", arguments)
        except SystemExit as ended:
            return ended.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return started


def test_missing_folder_is_named_with_what_to_do(checkout):
    done = run("python", "-m", "stages.run", *INGEST, cwd=checkout)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for part in ("raw/shoes", "Expected", "take shoes out of `sources`"):
        assert part in done.stderr


def test_empty_data_set_is_named_with_what_was_expected(checkout, start):
    (checkout / "raw" / "shoes").mkdir(parents=True)
    status, text = start(*INGEST)
    assert status == 1 and "no annotations_<class>.json" in text
    assert "training/<class>/*.jpg" in text


def test_params_typo_is_named_with_the_key_that_was_meant(checkout, start):
    edit(checkout, lambda params: params["ingest"]["shoes"].update(shard=params["ingest"]["shoes"].pop("shards")))
    status, text = start(*INGEST)
    assert status == 1 and "`ingest.shoes.shard` is not a known key, did you mean `shards`?" in text
    assert "`ingest.shoes.shards` is missing" in text


def test_params_value_of_the_wrong_type_is_named(checkout, start):
    edit(checkout, lambda params: params["ingest"]["shoes"].update(min_side="big"))
    status, text = start(*INGEST)
    assert status == 1 and "`ingest.shoes.min_side` is 'big'" in text


def test_unknown_profile_is_answered_with_the_profiles_there_are(start):
    status, text = start("use", "fotos")
    assert status == 1 and "demo, paper, photos" in text


@pytest.mark.slow
def test_changed_params_are_not_overwritten_unless_asked_to(checkout, start):
    composed = yaml.safe_load((checkout / "params.yaml").read_text(encoding="utf-8"))["classifier"]["epochs"]
    edit(checkout, lambda params: params["classifier"].update(epochs=composed + 7))
    status, text = start("use", "photos")
    assert status == 1 and f"classifier.epochs: {composed + 7} ({composed} was composed)" in text
    assert start("use", "photos", "--keep-edits")[0] == 0
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    assert (params["profile"], params["classifier"]["epochs"]) == ("photos", composed + 7)
    assert start("use", "demo", "--discard-edits")[0] == 0
    assert (checkout / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


def test_recipe_that_its_data_cannot_serve_is_refused_before_anything_runs(checkout, start):
    with (checkout / "profiles" / "photos.yaml").open("a") as stream:
        stream.write("encoders: [simclr, classifier, fir_is]\n")  # the last of two keys counts
    status, text = start("use", "photos")
    assert status == 1
    assert "`encoder.fir_is.losses: IS` needs items and learns from the table 'dataset', which has none" in text
    assert (checkout / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
