"""Helpers of the tests that run the DAG. They are slow: `make test-slow`."""

import os
import shutil
from pathlib import Path

import pytest
import yaml
from commands import succeed
from playwright.sync_api import sync_playwright

from stages.core.errors import StageError
from stages.runner.lists import LISTS, SECTIONS, derived
from stages.web.doc_pictures import browser

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT.parent / "shared" / "real"


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Path:
    """A checkout in which the demo profile has been reproduced.

    `.ci/run` names the one that it has just made in SEAMLINE_DEMO; elsewhere this checkout serves, when its
    outs are what dvc.lock says.
    """
    if named := os.environ.get("SEAMLINE_DEMO"):
        return Path(named)
    if "up to date" not in succeed("dvc", "status", cwd=ROOT):
        pytest.skip("the demo is not reproduced here: run `make repro` first, or .ci/run")
    return ROOT


def fresh_clone(folder: Path) -> Path:
    """A clone of this project at ``folder``, uncommitted changes included, with nothing reproduced."""
    succeed("git", "clone", "--quiet", str(ROOT), str(folder), cwd=folder.parent)
    for name in succeed("git", "ls-files", "--modified", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A fresh clone of this project, uncommitted changes included, with nothing reproduced."""
    return fresh_clone(tmp_path / "checkout")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A clone that has run the first stages of the pipeline, `demo`, `ingest` and `boxes`, on one small source."""
    folder = fresh_clone(tmp_path_factory.mktemp("small") / "checkout")
    params = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    for key in LISTS:
        params[key] = ["shoes"] if key in ("demo_sources", "sources", "detectors") else []
    for key, named in SECTIONS.items():
        params[key] = {name: params[key][name] for name in named(params)}
    params |= derived(params)
    params["demo"]["shoes"] |= {"images": 60, "width": 96, "height": 96}
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    stages = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))
    stages["stages"] = {name: stages["stages"][name] for name in ("demo", "ingest", "boxes")}
    (folder / "dvc.yaml").write_text(yaml.safe_dump(stages, sort_keys=False), encoding="utf-8")
    (folder / "dvc.lock").unlink()
    shutil.rmtree(folder / ".git")  # a history of its own: `dvc gc` reads every commit
    succeed("git", "init", "--quiet", "--initial-branch=main", cwd=folder)
    for key, value in (("user.name", "a"), ("user.email", "a@b.c")):
        succeed("git", "config", key, value, cwd=folder)
    succeed("dvc", "repro", cwd=folder, SEAMLINE_TRACKING="off")
    succeed("git", "add", "--all", cwd=folder)
    succeed("git", "commit", "--quiet", "-m", "small", cwd=folder)
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The sample of real photos with its boxes and splits, which users get from its public source instead."""
    if not SAMPLE.is_dir():
        pytest.skip(f"needs the sample of real photos at {SAMPLE}")
    return SAMPLE


@pytest.fixture(scope="module")
def chromium():
    """Playwright's browser; `.ci/run` installs Chromium, so that its tests are skipped only elsewhere."""
    try:
        path = browser()
    except StageError as error:
        pytest.skip(str(error))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()
