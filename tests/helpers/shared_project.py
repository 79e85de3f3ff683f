"""A project of two stages that DVC has reproduced, with a folder as its remote."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo

DVC_YAML = """
stages:
  make:
    cmd: cp words.txt out.txt && mkdir folder && cp words.txt folder/a && cp more.txt folder/b
    deps: [words.txt, more.txt]
    params: [length]
    outs: [out.txt, folder]
  count:
    cmd: wc -c < folder/b > count.txt && wc -c < out.txt > score.txt
    deps: [out.txt, folder]
    outs: [count.txt, {score.txt: {cache: false}}]
"""
WORDS, MORE = "one two\n", "three four five\n"  # 8 and 16 bytes
CACHE = Path(".dvc/cache/files/md5")


@pytest.fixture(scope="session")
def _reproduced(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "project"
    folder.mkdir()
    (folder / "dvc.yaml").write_text(DVC_YAML)
    (folder / "params.yaml").write_text("length: 3\n")
    (folder / "words.txt").write_text(WORDS)
    (folder / "more.txt").write_text(MORE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Repo.init(no_scm=True).close()
        with Repo() as repo:
            repo.reproduce()
    return folder


@pytest.fixture
def project(_reproduced, tmp_path, monkeypatch) -> Path:
    """The reproduced project as working folder; its remote ``store`` is an empty folder beside it."""
    folder = tmp_path / "project"
    shutil.copytree(_reproduced, folder, symlinks=True)
    (tmp_path / "store").mkdir()
    (folder / ".dvc" / "config.local").write_text(
        f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
    )
    monkeypatch.chdir(folder)
    return folder


def stored(text: str) -> Path:
    """Where the cache has a file with this text."""
    name = hashlib.md5(text.encode()).hexdigest()
    return CACHE / name[:2] / name[2:]


def flip(path: Path) -> None:
    """Change the last byte of a file and neither its size, nor its date, nor its mode."""
    status = path.stat()
    path.chmod(0o644)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    path.chmod(status.st_mode)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
