"""Trainings as commands of their own: one process, several under torchrun, and one that is killed."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
DIES_AFTER_ONE_EPOCH = """
import os

from stages.learning.checkpoints import Checkpoints

save = Checkpoints.save

def dying(self, state):
    save(self, state)
    os._exit(9)

Checkpoints.save = dying
"""


class Killed(BaseException):
    """What a killed process sees: no handler in the code under test may swallow it."""


def launch(project, *command, params, script=None, dies=False):
    """The log of ``python *command`` in a folder with these params, and with ``script`` as script.py."""
    (project / "params.yaml").write_text(yaml.safe_dump(params))
    if script:
        (project / "script.py").write_text(script)
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("TORCHELASTIC", "DVC"))}
    environment = plain | {"PYTHONPATH": str(ROOT), "SEAMLINE_DEVICE": "cpu", "PYTHONHASHSEED": "0"}
    done = subprocess.run([sys.executable, *command], cwd=project, env=environment, capture_output=True, text=True)
    assert (done.returncode != 0) == dies, done.stderr
    return done.stderr


def contents(folder):
    """Name -> bytes of the files in a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
