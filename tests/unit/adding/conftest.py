"""A project folder of its own to add data in, and small photos to add."""

import shutil
from pathlib import Path

import pytest
from own_data import picture, run
from places import ROOT

from stages.adding.add import add


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's profiles and tables in a folder of their own, which the test runs in."""
    folder = tmp_path / "project"
    for name in ("profiles", "tables"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "relabel.csv").write_text("source,item_id,column,value,reason\n")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SEAMLINE_WORKERS", "1")
    return folder


@pytest.fixture
def shop(tmp_path):
    """A folder somewhere else with 40 photos in images/, p0.jpg to p39.jpg."""
    folder = tmp_path / "shop"
    (folder / "images").mkdir(parents=True)
    for number in range(40):
        (folder / "images" / f"p{number}.jpg").write_bytes(picture(number))
    return folder


@pytest.fixture
def added(project):
    """Add a folder and run ingest and labels on it: the report and what came of it."""

    def do(source, folder, table=None, **more):
        said = add(source, Path(folder), Path(table) if table else None, **more)
        result = run(source)
        result.said = said
        return result

    return do
