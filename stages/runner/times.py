"""How long each stage of a `make repro` took: a line a stage in .work/ran.jsonl, which the table at the end reads."""

import json
import os
from pathlib import Path

LOG = Path(".work/ran.jsonl")
REPRO_VARIABLE = "SEAMLINE_REPRO"  # the key that `make repro` gives to its stages


def note(seconds: float) -> None:
    """Write down that the stage that DVC runs here took so long; nothing outside of `make repro`."""
    stage, key = os.environ.get("DVC_STAGE"), os.environ.get(REPRO_VARIABLE)
    if not stage or not key:
        return
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"repro": key, "stage": stage, "seconds": round(seconds, 2)}) + "\n")


def read(key: str) -> list[tuple[str, float]]:
    """Stages of one repro with their seconds, in the order in which they ended."""
    if not LOG.is_file():
        return []
    lines = (json.loads(line) for line in LOG.read_text(encoding="utf-8").splitlines())
    return [(line["stage"], line["seconds"]) for line in lines if line["repro"] == key]


def forget() -> None:
    """Empty the log: the repro that it is about has told its story."""
    LOG.unlink(missing_ok=True)
