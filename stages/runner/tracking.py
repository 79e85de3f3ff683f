"""MLflow mirrors what the files say: one parent run for each repro, one child run for each executed stage.

A finished stage writes an event into ``.work/tracking/`` and starts a background process that sends the events to
MLflow, because importing MLflow takes seconds for which no stage should wait. The parent run is found or created by its
tag ``repro_key``. ``make repro`` passes a new key in ``SEAMLINE_REPRO`` and waits for the events at its end; the key of
a DVC experiment is its name; that of a plain ``dvc repro`` is the hash of git commit, dvc.yaml and params.yaml. Queued
experiments run in a checkout below .dvc/tmp that is deleted afterwards: their stages wait for MLflow, and use the store
of the checkout around it. runs.py and registry.py write to MLflow; stages/report/finish_tracking.py adds the stages
that did not run.

The store is ``sqlite:///mlflow.db`` at the project's root unless ``MLFLOW_TRACKING_URI`` says otherwise;
``SEAMLINE_TRACKING=off`` switches tracking off. If tracking fails, one warning is logged and the stage goes on, because
the files are the record.
"""

import fcntl
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.files import file_digest, parse_yaml
from stages.runner.scores import flatten, scores_at
from stages.runner.times import REPRO_VARIABLE

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from stages.runner.stage import Report

EXPERIMENT_VARIABLE = "DVC_EXP_NAME"
DEFAULT_URI = "sqlite:///mlflow.db"
TEMPORARY = (".dvc", "tmp", "exps")  # where DVC checks queued experiments out
QUEUE = Path(".work/tracking")
# The worker stays alive between stages, as importing MLflow takes four seconds of a core: for a while after each stage,
# and as long as `make repro` runs, which ends the worker when it is done.
LINGER_SECONDS = 20.0
# If no stage has ended for this long, `make repro` was killed, or trains for so long that one more import is cheap.
REPRO_SECONDS = 600.0


def checkout() -> Path:
    """The checkout that a person works in: the one around DVC's checkout for an experiment, else the current folder."""
    folder = Path.cwd()
    for at in range(len(folder.parts)):
        if folder.parts[at : at + len(TEMPORARY)] == TEMPORARY:
            return Path(*folder.parts[:at])
    return folder


def default_uri() -> str:
    """The store at the checkout's root."""
    return DEFAULT_URI if checkout() == Path.cwd() else f"sqlite:///{checkout() / 'mlflow.db'}"


def enabled() -> bool:
    """Whether tracking is on: for stages that DVC runs, unless ``SEAMLINE_TRACKING=off``."""
    return bool(os.environ.get("DVC_STAGE")) and not switched_off()


def switched_off() -> bool:
    """Whether ``SEAMLINE_TRACKING=off`` is set."""
    return os.environ.get("SEAMLINE_TRACKING") == "off"


def track_stage(
    report: "Report", params: dict[str, Any], arguments: list[str], started: float, failed: bool = False
) -> None:
    """Queue the stage that just ran as a child of this repro's parent run."""
    if not enabled():
        return
    try:
        event = {
            "stage": os.environ["DVC_STAGE"],
            "repro": repro_key(),
            "experiment": os.environ.get(EXPERIMENT_VARIABLE),
            "started": started,
            "ended": time.time(),
            "failed": failed,
            "params": flatten(params),
            "metrics": report.metrics,
            "curves": report.curves,
            "pictures": [str(path) for path in report.pictures],
            "scores": {} if failed else {k: v for path in arguments for k, v in scores_at(Path(path)).items()},
            "tags": {**git_tags(), **{f"input.{path}": md5 for path, md5 in _inputs(arguments).items()}},
        }
        _enqueue(event)
        if (QUEUE / "error").is_file():
            warn((QUEUE / "error").read_text(encoding="utf-8").strip())
            (QUEUE / "error").unlink()
        temporary = checkout() != Path.cwd()
        worker = subprocess.Popen(
            ["nice", sys.executable, "-m", "stages.run", "track", "now" if temporary else "work"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if temporary:
            worker.wait()
    except Exception as error:
        warn(f"{type(error).__name__}: {error}")


def warn(text: str) -> None:
    """Warn that tracking failed and why, once until tracking works again."""
    warned = QUEUE / "warned"
    first = " ".join(text.split())[:300]
    kind = first.partition(":")[0]  # messages of the same kind differ in run ids and addresses
    if warned.is_file() and warned.read_text(encoding="utf-8") == kind:
        return
    log.warning(f"not tracked in MLflow: {first}")
    if QUEUE.is_dir():
        warned.write_text(kind, encoding="utf-8")


def state_key() -> str:
    """Hash of git commit, dvc.yaml and params.yaml."""
    return file_digest(Path("dvc.yaml"), Path("params.yaml"))[:16] + "-" + git_tags()["git_commit"][:12]


def repro_key() -> str:
    """The key that the stages of a repro share: an experiment's, ``make repro``'s, or of commit and configuration."""
    if name := os.environ.get(EXPERIMENT_VARIABLE):
        return f"experiment {name} {os.environ.get('DVC_EXP_BASELINE_REV', '')[:12]}"
    return os.environ.get(REPRO_VARIABLE) or state_key()


def git_tags() -> dict[str, str]:
    """Commit of the checkout, and whether it has uncommitted changes."""

    def git(*command: str) -> str:
        return subprocess.run(["git", *command], capture_output=True, text=True, check=False).stdout.strip()

    return {"git_commit": git("rev-parse", "HEAD") or "none", "git_dirty": str(bool(git("status", "--porcelain")))}


def read_lock() -> dict[str, Any]:
    """Entries of dvc.lock by stage; empty without the file."""
    path = Path("dvc.lock")
    return ((parse_yaml(path.read_text(encoding="utf-8")) or {}).get("stages") or {}) if path.is_file() else {}


def _inputs(arguments: list[str]) -> dict[str, str]:
    """Hashes of the outs in dvc.lock that are arguments of the stage, or lie below one."""
    own = os.environ["DVC_STAGE"]
    hashes = {}
    for name, entry in read_lock().items():
        for out in entry.get("outs", []) if name != own else []:
            if any(out["path"] == path or out["path"].startswith(f"{path}/") for path in arguments):
                hashes[out["path"]] = out.get("md5", "")
    return hashes


def _enqueue(event: dict[str, Any]) -> None:
    QUEUE.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns()}.json"
    unfinished = QUEUE / f"{name}.part"
    unfinished.write_text(json.dumps(event), encoding="utf-8")
    unfinished.rename(QUEUE / name)
    if REPRO_VARIABLE in os.environ:
        (QUEUE / f"repro-{event['repro']}").touch()  # tells close_parent that there is something to close


def work(linger: float = LINGER_SECONDS) -> None:
    """Send queued events to MLflow until none has come for ``linger`` seconds and no ``make repro`` runs.

    One process works and at most one other waits, so an event is seen whenever it is queued.
    """
    QUEUE.mkdir(parents=True, exist_ok=True)
    with (QUEUE / "waiter.lock").open("w") as waiter, (QUEUE / "worker.lock").open("w") as worker:
        if linger:
            try:
                fcntl.flock(waiter, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        else:
            (QUEUE / "hurry").touch()  # makes a worker that still waits end at once
        fcntl.flock(worker, fcntl.LOCK_EX)
        fcntl.flock(waiter, fcntl.LOCK_UN)
        if not linger:  # a process that waited has done its work and must end as well
            (QUEUE / "hurry").unlink(missing_ok=True)
        _drain(linger)


def _drain(linger: float) -> None:
    # Imported late: stages import this module, and only the worker needs MLflow.
    from stages.runner.runs import connect, log_stage

    client = None
    deadline = time.monotonic() + linger
    while True:
        for path in sorted(QUEUE.glob("*.json")):
            client = client or connect()
            log_stage(client, json.loads(path.read_text(encoding="utf-8")))
            path.unlink()
            (QUEUE / "warned").unlink(missing_ok=True)
            deadline = time.monotonic() + linger
        if (QUEUE / "hurry").exists() or (time.monotonic() >= deadline and not (linger and _repro_under_way())):
            return
        time.sleep(0.3)


def _repro_under_way() -> bool:
    # close_parent removed the marker before stat(): the repro has ended.
    try:
        ages = [time.time() - marker.stat().st_mtime for marker in QUEUE.glob("repro-*")]
    except FileNotFoundError:
        return False
    return any(age < REPRO_SECONDS for age in ages)


def note_error(error: Exception) -> None:
    """Store a message that the next stage logs."""
    (QUEUE / "error").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


def main() -> None:
    """``work`` sends queued events and waits for more, ``now`` sends the queued ones and ends."""
    try:
        if sys.argv[1:] in (["work"], ["now"]):
            work(LINGER_SECONDS if sys.argv[1] == "work" else 0)
    except Exception as error:
        note_error(error)
