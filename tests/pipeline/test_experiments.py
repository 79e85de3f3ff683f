"""`dvc exp` as docs/experiments.md shows it: one cheap stage of a clone, changed, queued, compared and tracked."""

import json

import pytest
import yaml
from commands import run, succeed

pytestmark = pytest.mark.slow
PIPELINE = {
    "stages": {
        "demo": {
            "cmd": "python -m stages.run demo drawn/raw drawn/truth",
            "params": ["demo", "demo_sources"],
            "outs": ["drawn/raw", "drawn/truth"],
        }
    }
}


@pytest.fixture
def project(checkout):
    """The clone with one stage that draws a few shoes, committed and reproduced."""
    params = yaml.safe_load((checkout / "params.yaml").read_text())
    shoes = params["demo"]["shoes"] | {"images": 24, "width": 64, "height": 64}
    small = {"profile": "demo", "demo_sources": ["shoes"], "drawn": ["all"], "runtime": params["runtime"],
             "demo": {"shoes": shoes}}  # fmt: skip
    (checkout / "params.yaml").write_text(yaml.safe_dump(small))
    (checkout / "dvc.yaml").write_text(yaml.safe_dump(PIPELINE))
    (checkout / "dvc.lock").unlink()
    for key, value in (("user.name", "a"), ("user.email", "a@b.c")):
        succeed("git", "config", key, value, cwd=checkout)
    succeed("dvc", "repro", cwd=checkout, SEAMLINE_TRACKING="off")
    succeed("git", "add", "--all", cwd=checkout)
    succeed("git", "commit", "--quiet", "-m", "small", cwd=checkout)
    return checkout


def test_experiments_change_values_are_queued_compared_and_tracked_under_their_names(project):
    from mlflow import MlflowClient

    succeed("dvc", "exp", "run", "--name", "more-shoes", "-S", "demo.shoes.images=30", cwd=project)
    assert "30" in succeed("dvc", "params", "diff", "--targets", "params.yaml", cwd=project)
    succeed("dvc", "exp", "run", "--queue", "--name", "queued-shoes", "-S", "demo.shoes.images=36", cwd=project)
    assert "queued-shoes" in succeed("dvc", "queue", "status", cwd=project)
    succeed("dvc", "exp", "run", "--run-all", cwd=project)

    shown = json.loads(succeed("dvc", "exp", "show", "--json", cwd=project).split("\nERROR")[0])
    images = {
        one["name"]: one["revs"][-1]["data"]["params"]["params.yaml"]["data"]["demo"]["shoes"]["images"]
        for entry in shown for one in entry.get("experiments") or []
    }  # fmt: skip
    assert images == {"more-shoes": 30, "queued-shoes": 36}

    succeed("python", "-m", "stages.run", "track", "now", cwd=project)  # what the background has not passed on yet
    client = MlflowClient(tracking_uri=f"sqlite:///{project / 'mlflow.db'}")
    found = client.get_experiment_by_name("seamline")
    runs = {one.info.run_name: one for one in client.search_runs([found.experiment_id])}
    assert {"more-shoes", "queued-shoes"} <= set(runs)
    assert runs["queued-shoes"].data.params["demo.shoes.images"] == "36"
    stages = [one for one in client.search_runs([found.experiment_id]) if one.data.tags.get("stage") == "demo"]
    assert {one.data.tags["mlflow.parentRunId"] for one in stages} == {runs[name].info.run_id for name in images}


def test_list_changed_by_an_experiment_is_answered_with_make_use(project):
    done = run("dvc", "exp", "run", "-S", "demo_sources=[shoes,headwear]", cwd=project, SEAMLINE_TRACKING="off")
    assert done.returncode != 0
    assert "`demo` does not fit the lists: no section for headwear" in done.stderr
    assert "a list, and what an encoder learns from, changes by `make use PROFILE=...`" in done.stderr
