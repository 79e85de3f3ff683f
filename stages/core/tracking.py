"""MLflow mirrors what the files say: one parent run for each repro, one child run for each executed stage.

A finished stage puts an event into ``.work/tracking/`` and starts a background process that passes the
events on; importing MLflow takes seconds that no stage should wait for. The parent is found or created by its
tag ``repro_key``: ``make repro`` passes a new one in ``SEAMLINE_REPRO`` and waits for the events at the end, a
plain ``dvc repro`` falls back on the hash of git commit, dvc.yaml and params.yaml. The store is
``sqlite:///mlflow.db`` at the project's root unless ``MLFLOW_TRACKING_URI`` says otherwise;
``SEAMLINE_TRACKING=off`` switches tracking off. A failure to track warns and never fails a stage: files are the
truth.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from stages.core.files import file_digest
from stages.core.progress import say

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from stages.core.stage import Report

REPRO_VARIABLE = "SEAMLINE_REPRO"
DEFAULT_URI = "sqlite:///mlflow.db"
EXPERIMENT = "seamline"
QUEUE = Path(".work/tracking")
LINGER_SECONDS = 20.0  # the worker outlives short stages, so that MLflow is not imported for each


def enabled() -> bool:
    """Tracking is on for stages that DVC runs, unless ``SEAMLINE_TRACKING=off``."""
    return bool(os.environ.get("DVC_STAGE")) and os.environ.get("SEAMLINE_TRACKING") != "off"


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
            "started": started,
            "ended": time.time(),
            "failed": failed,
            "params": flatten(params),
            "metrics": report.metrics,
            "curves": report.curves,
            "pictures": [str(path) for path in report.pictures],
            "tags": {**git_tags(), **{f"input.{path}": md5 for path, md5 in _inputs(arguments).items()}},
        }
        _enqueue(event)
        warning = QUEUE / "error"
        if warning.is_file():
            say(f"WARNING not tracked in MLflow: {warning.read_text(encoding='utf-8').strip()}")
            warning.unlink()
        subprocess.Popen(
            ["nice", sys.executable, "-m", "stages.core.tracking", "work"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except Exception as error:
        say(f"WARNING not tracked in MLflow: {type(error).__name__}: {error}")


def flatten(params: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in params.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def repro_key() -> str:
    """What stages of one repro share: what ``make repro`` chose, else git commit, dvc.yaml and params.yaml."""
    if key := os.environ.get(REPRO_VARIABLE):
        return key
    return file_digest(Path("dvc.yaml"), Path("params.yaml"))[:16] + "-" + git_tags()["git_commit"][:12]


def git_tags() -> dict[str, str]:
    """Commit of the checkout, and whether it has uncommitted changes."""

    def git(*command: str) -> str:
        return subprocess.run(["git", *command], capture_output=True, text=True, check=False).stdout.strip()

    return {"git_commit": git("rev-parse", "HEAD") or "none", "git_dirty": str(bool(git("status", "--porcelain")))}


def _inputs(arguments: list[str]) -> dict[str, str]:
    """Hashes of the outs in dvc.lock that are among, or lie below, the stage's arguments."""
    lock = Path("dvc.lock")
    if not lock.is_file():
        return {}
    own = os.environ["DVC_STAGE"]
    hashes = {}
    for name, entry in (yaml.safe_load(lock.read_text(encoding="utf-8")).get("stages") or {}).items():
        for out in entry.get("outs", []) if name != own else []:
            if any(out["path"] == path or out["path"].startswith(f"{path}/") for path in arguments):
                hashes[out["path"]] = out.get("md5", "")
    return hashes


def _enqueue(event: dict[str, Any]) -> None:
    QUEUE.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns()}.json"
    part = QUEUE / f"{name}.part"
    part.write_text(json.dumps(event), encoding="utf-8")
    part.rename(QUEUE / name)
    if REPRO_VARIABLE in os.environ:
        (QUEUE / f"repro-{event['repro']}").touch()  # tells close_parent that there is something to close


def work(linger: float = LINGER_SECONDS) -> None:
    """Pass queued events on to MLflow until none has come for ``linger`` seconds.

    One process works and at most one more waits for its turn, so an event queued at any moment is seen.
    """
    QUEUE.mkdir(parents=True, exist_ok=True)
    with (QUEUE / "waiter.lock").open("w") as waiter, (QUEUE / "worker.lock").open("w") as worker:
        if linger:
            try:
                fcntl.flock(waiter, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
        else:
            (QUEUE / "hurry").touch()  # ends the linger of a worker that is still there
        fcntl.flock(worker, fcntl.LOCK_EX)
        fcntl.flock(waiter, fcntl.LOCK_UN)
        (QUEUE / "hurry").unlink(missing_ok=True)
        _drain(linger)


def _drain(linger: float) -> None:
    client = None
    deadline = time.monotonic() + linger
    while True:
        for path in sorted(QUEUE.glob("*.json")):
            client = client or _client()
            _log_stage(client, json.loads(path.read_text(encoding="utf-8")))
            path.unlink()
            deadline = time.monotonic() + linger
        if time.monotonic() >= deadline or (QUEUE / "hurry").exists():
            return
        time.sleep(0.3)


def _log_stage(client: "MlflowClient", event: dict[str, Any]) -> None:
    from mlflow.entities import Metric, Param

    parent = _find_or_create_parent(client, event)
    tags = {"mlflow.parentRunId": parent, "stage": event["stage"], **event["tags"]}
    started, ended = (int(event[key] * 1000) for key in ("started", "ended"))
    run = client.create_run(_experiment(client), start_time=started, tags=tags, run_name=event["stage"])
    run_id = run.info.run_id
    metrics = [Metric(key, float(value), ended, 0) for key, value in event["metrics"].items()]
    for key, values in event["curves"].items():
        metrics += [Metric(key, float(value), ended, step) for step, value in enumerate(values, start=1)]
    params = [Param(key, str(value)[:6000]) for key, value in event["params"].items()]
    for start in range(0, max(len(metrics), len(params)), 100):  # the store takes 100 params at a time
        client.log_batch(run_id, metrics=metrics[start : start + 100], params=params[start : start + 100])
    for picture in event["pictures"]:
        if Path(picture).is_file():
            client.log_artifact(run_id, picture, "pictures")
    status = "FAILED" if event["failed"] else "FINISHED"
    client.set_terminated(run_id, status, end_time=ended)
    client.set_terminated(parent, status, end_time=ended)  # of a plain dvc repro, the last stage may be the end


def _client() -> "MlflowClient":
    import logging

    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI))


def _experiment(client: "MlflowClient") -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    if found:
        return found.experiment_id
    # A tracking server keeps pictures where it likes; the local file store keeps them beside its database.
    local = None if "MLFLOW_TRACKING_URI" in os.environ else Path("mlartifacts").absolute().as_uri()
    return client.create_experiment(EXPERIMENT, artifact_location=local)


def _find_parent(client: "MlflowClient", key: str) -> str | None:
    found = client.search_runs(
        [_experiment(client)], f"tags.repro_key = '{key}'", order_by=["start_time DESC"], max_results=1
    )
    return found[0].info.run_id if found else None


def _find_or_create_parent(client: "MlflowClient", event: dict[str, Any]) -> str:
    if known := _find_parent(client, event["repro"]):
        return known
    profile = str(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8")).get("profile"))
    tags = {"repro_key": event["repro"], "profile": profile, **git_tags()}
    started = int(event["started"] * 1000)
    return client.create_run(_experiment(client), started, tags, run_name=f"repro {profile}").info.run_id


def close_parent(key: str, failed: bool, metrics: dict[str, float]) -> None:
    """Wait for the queued events, then end the parent run with the repro's final metrics; warns on failure.

    A repro in which no stage ran has no parent run, and none is made.
    """
    marker = QUEUE / f"repro-{key}"
    if os.environ.get("SEAMLINE_TRACKING") == "off" or not marker.exists():
        return
    try:
        work(linger=0)
        marker.unlink()
        client = _client()
        run_id = _find_parent(client, key)
        if run_id:
            from mlflow.entities import Metric

            now = int(time.time() * 1000)
            logged = [Metric(name, value, now, 0) for name, value in metrics.items()]
            for start in range(0, len(logged), 500):
                client.log_batch(run_id, metrics=logged[start : start + 500])
            client.set_terminated(run_id, "FAILED" if failed else "FINISHED")
    except Exception as error:
        say(f"WARNING not tracked in MLflow: {type(error).__name__}: {error}")


def main() -> None:
    """``work`` passes queued events on."""
    try:
        if sys.argv[1:] == ["work"]:
            work()
    except Exception as error:
        (QUEUE / "error").write_text(f"{type(error).__name__}: {error}", encoding="utf-8")


if __name__ == "__main__":
    main()
