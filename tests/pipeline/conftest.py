"""Helpers of the tests that run the DAG. They are slow: `make test-slow`."""

import os
import shutil
from pathlib import Path

import pytest
from commands import succeed

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


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A fresh clone of this project, uncommitted changes included, with nothing reproduced."""
    folder = tmp_path / "checkout"
    succeed("git", "clone", "--quiet", str(ROOT), str(folder), cwd=tmp_path)
    for name in succeed("git", "ls-files", "--modified", "--others", "--exclude-standard", cwd=ROOT).splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def sample() -> Path:
    """The sample of real photos with its boxes and splits, which users get from its public source instead."""
    if not SAMPLE.is_dir():
        pytest.skip(f"needs the sample of real photos at {SAMPLE}")
    return SAMPLE
