"""Bad input through the commands that users run: one message with what was found, expected, and to do."""

from pathlib import Path

import yaml
from commands import run

ROOT = Path(__file__).resolve().parents[2]
INGEST = ("python", "-m", "stages.run", "ingest", "shoes", "raw/shoes", "annotations", "tables", "out")


def edit(checkout, change):
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    change(params)
    (checkout / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def message(done):
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_missing_folder_is_named_with_what_to_do(checkout):
    text = message(run(*INGEST, cwd=checkout))
    for part in ("raw/shoes", "Expected", "take shoes out of `sources`"):
        assert part in text


def test_empty_data_set_is_named_with_what_was_expected(checkout):
    (checkout / "raw" / "shoes").mkdir(parents=True)
    text = message(run(*INGEST, cwd=checkout))
    assert "no annotations_<class>.json" in text
    assert "training/<class>/*.jpg" in text


def test_params_typo_is_named_with_the_key_that_was_meant(checkout):
    edit(checkout, lambda params: params["ingest"]["shoes"].update(shard=params["ingest"]["shoes"].pop("shards")))
    text = message(run(*INGEST, cwd=checkout))
    assert "`ingest.shoes.shard` is not a known key, did you mean `shards`?" in text
    assert "`ingest.shoes.shards` is missing" in text


def test_params_value_of_the_wrong_type_is_named(checkout):
    edit(checkout, lambda params: params["ingest"]["shoes"].update(min_side="big"))
    assert "`ingest.shoes.min_side` is 'big'" in message(run(*INGEST, cwd=checkout))


def test_unknown_profile_is_answered_with_the_profiles_there_are(checkout):
    text = message(run("python", "-m", "stages.run", "use", "fotos", cwd=checkout))
    assert "demo, paper, photos" in text


def test_changed_params_are_not_overwritten_unless_asked_to(checkout):
    composed = yaml.safe_load((checkout / "params.yaml").read_text(encoding="utf-8"))["classifier"]["epochs"]
    edit(checkout, lambda params: params["classifier"].update(epochs=composed + 7))
    use = ("python", "-m", "stages.run", "use")
    assert f"classifier.epochs: {composed + 7} ({composed} was composed)" in message(run(*use, "photos", cwd=checkout))
    assert run(*use, "photos", "--keep-edits", cwd=checkout).returncode == 0
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    assert (params["profile"], params["classifier"]["epochs"]) == ("photos", composed + 7)
    assert run(*use, "demo", "--discard-edits", cwd=checkout).returncode == 0
    assert (checkout / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


def test_recipe_that_its_data_cannot_serve_is_refused_before_anything_runs(checkout):
    with (checkout / "profiles" / "photos.yaml").open("a") as stream:
        stream.write("encoders: [simclr, classifier, fir_is]\n")  # the last of two keys counts
    text = message(run("python", "-m", "stages.run", "use", "photos", cwd=checkout))
    assert "`encoder.fir_is.losses: IS` needs items and learns from the table 'dataset', which has none" in text
    assert (checkout / "params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()
