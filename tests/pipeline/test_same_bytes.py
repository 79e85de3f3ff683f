"""A training, and the search for label errors, give the same bytes whatever the machine is set to: cores, threads, time zone, locale, folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def outs(project: Path, command: list[str], *before: str, umask: int, **environment: str) -> dict[str, bytes]:
    """The files of a stage in a project of its own, in which a siamese network is trained for one epoch."""
    project.mkdir(parents=True)
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["encoder"]["siamese"]["schedule"]["epochs"] = 1
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    (project / "stages").symlink_to(ROOT / "stages")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("OMP", "MKL", "GOMP", "PYTHON"))}
    for name in ("OPENBLAS_NUM_THREADS", "GLIBC_TUNABLES", "DVC_STAGE"):
        plain.pop(name, None)
    done = subprocess.run(
        [*before, sys.executable, "-m", "stages.run", *command],
        cwd=project, env=plain | environment, umask=umask, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return {path.name: path.read_bytes() for path in sorted((project / "out").iterdir())}


OTHER = {
    "OMP_NUM_THREADS": "7", "MKL_NUM_THREADS": "3", "OMP_WAIT_POLICY": "ACTIVE", "PYTHONHASHSEED": "123",
    "TZ": "Pacific/Chatham", "LC_ALL": "C",
}  # fmt: skip


@pytest.mark.skipif(not shutil.which("taskset"), reason="taskset, of util-linux, gives a process one core")
@pytest.mark.parametrize(
    ("command", "made"),
    [
        (["train_encoder", "siamese", "{}/data/demo/dataset", "out"], {"weights.safetensors", "history.csv"}),
        (
            ["suspects", "{}/data/demo/dataset", "{}/models/demo/encoders/simclr", "{}/data/relabel.csv", "m", "out"],
            {"suspects.csv", "relabel_suggestions.csv", "suspects_type.jpg"},
        ),
        (["leakage", "{}/data/demo", "m", "out"], {"leakage.json", "pairs.csv", "same_item.jpg"}),
    ],
    ids=["a training", "suspects", "leakage"],
)
def test_same_bytes_on_one_core_and_on_all_under_other_settings(demo, tmp_path, command, made):
    command = [word.format(demo) for word in command]
    usual = outs(tmp_path / "usual", command, umask=0o022)
    assert usual == outs(tmp_path / "another folder/with ümläut", command, "taskset", "-c", "0", umask=0o077, **OTHER)
    assert made <= set(usual)
