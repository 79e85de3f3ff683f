"""When each stage of the last `make repro` ran: a line a stage in .work/ran.jsonl, for the summary and `make bench`."""

import json
import os
import time
from pathlib import Path
from typing import NamedTuple

LOG = Path(".work/ran.jsonl")
REPRO_VARIABLE = "SEAMLINE_REPRO"  # the key that `make repro` gives to its stages
STARTED_VARIABLE = "SEAMLINE_STARTED"  # when the process of a command began


class Ran(NamedTuple):
    """A stage that ran: when its process began, when its work began (after the imports), when it ended, by time()."""

    stage: str
    process: float
    work: float
    end: float


def note(began: float) -> None:
    """Record that the stage that DVC runs in this process has ended; outside of `make repro` do nothing.

    Args:
        began: time at which its work began.
    """
    stage, key = os.environ.get("DVC_STAGE"), os.environ.get(REPRO_VARIABLE)
    if not stage or not key:
        return
    LOG.parent.mkdir(parents=True, exist_ok=True)
    line = {"repro": key, "stage": stage, "process": float(os.environ.get(STARTED_VARIABLE, began))}
    mode = "a" if LOG.is_file() and read(key) else "w"  # lines of an earlier repro are overwritten
    with LOG.open(mode, encoding="utf-8") as stream:
        stream.write(json.dumps(line | {"work": began, "end": time.time()}) + "\n")


def read(key: str | None = None) -> list[Ran]:
    """Stages of a repro (None: the last one), in the order in which they ended."""
    if not LOG.is_file():
        return []
    lines = [json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines()]
    return [Ran(*(line[name] for name in Ran._fields)) for line in lines if key in (None, line["repro"])]
