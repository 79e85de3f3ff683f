"""Run commands as a user would."""

import os
import subprocess
from pathlib import Path


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess:
    """A command's result; its output is in the assertion when it is used in one."""
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=1500
    )


def succeed(*command: str, cwd: Path, **environment: str) -> str:
    """Standard output and error of a command that must succeed."""
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout + done.stderr
