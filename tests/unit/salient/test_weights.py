"""The file of U²-Net-p's weights: missing, another package's, other bytes; and when its absence is said."""

import importlib
import importlib.util

import pytest

from stages.core.errors import StageError
from stages.salient import weights


def package(folder, monkeypatch, content=None):
    """A package rembg in a folder, with a file of weights or without."""
    (folder / "rembg").mkdir()
    (folder / "rembg" / "__init__.py").write_text("raise ImportError('onnxruntime is not there')")
    if content is not None:
        (folder / "rembg" / "u2netp.onnx").write_bytes(content)
    monkeypatch.syspath_prepend(folder)
    importlib.invalidate_caches()


def test_other_package_of_the_name_is_one_message(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch)
    with pytest.raises(StageError, match=r"u2netp.onnx: no such file; another package is called rembg"):
        weights.weights_file()


def test_other_weights_are_one_message_with_both_hashes(tmp_path, monkeypatch):
    package(tmp_path, monkeypatch, b"abc")
    # SHA-256 of "abc", FIPS 180-2, appendix B.1
    with pytest.raises(
        StageError, match=r"u2netp.onnx: its SHA-256 is ba7816bf\w+20015ad, expected 309c8469\w+6f4ddd8"
    ):
        weights.weights_file()


@pytest.mark.parametrize(
    ("content", "arguments", "status"),
    [
        ({"salient_sources": ["photos"]}, [], 1),
        ({"salient_sources": ["photos"]}, ["--force"], 1),
        ({"salient_sources": ["photos"]}, ["ingest@photos"], 0),  # a named stage may not need it
        ({"salient_sources": []}, [], 0),
        ({}, [], 0),  # no params.yaml that can be read
    ],
)
def test_absence_is_said_where_all_stages_of_a_profile_with_salient_boxes_run(
    content, arguments, status, monkeypatch, capsys
):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    assert weights.check_installed(content, arguments) == status
    assert ("Run `make salient`" in capsys.readouterr().err) == bool(status)
