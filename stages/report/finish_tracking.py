"""The end of a repro in MLflow: its parent run gets the final scores, pictures and files, also of unchanged stages.

Reads: metrics/<profile>/, data/<profile>/report/ (pictures), models/<profile>/*/* (validation scores), the parent run.
``make repro`` closes its own parent run. After a plain ``dvc repro`` or ``dvc pull``, ``make mlflow`` completes the
run of this commit and configuration, if the files belong to it by `dvc status`.
"""

import logging
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from stages.report.confusion import confusion_figures
from stages.runner.scores import scores_at
from stages.runner.tracking import QUEUE, state_key, switched_off, warn, work

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from mlflow import MlflowClient

PICTURES = (".jpg", ".png")
MAX_NOTE = 8000  # characters of a description in MLflow
Registered = dict[str, str]


def final_scores(profile: str) -> dict[str, float]:
    """Main scores of all metric files and trained models of a profile."""
    paths = [Path("metrics", profile), *sorted(Path("models", profile).glob("*/*/"))]
    return {key: value for path in paths for key, value in scores_at(path).items()}


def close_parent(key: str, failed: bool, profile: str, table: str) -> Registered | None:
    """Wait for the queued events, then end the parent run of this repro; warn on failure.

    A repro in which no stage ran has no parent run, and none is created. A failed repro keeps the scores of the stages
    that ran, as files of other stages may be older.

    Args:
        key: value of ``SEAMLINE_REPRO`` for the stages.
        table: Markdown that describes the run.

    Returns:
        Name and versions of the registered model, if there is one.
    """
    marker = QUEUE / f"repro-{key}"
    if switched_off() or not marker.exists():
        return None
    try:
        from stages.runner.runs import connect, find_parent

        work(linger=0)
        marker.unlink()
        client = connect()
        run_id = find_parent(client, key)
        if run_id is None:
            return None
        registered = None if failed else _complete(client, run_id, profile, table)
        client.set_terminated(run_id, "FAILED" if failed else "FINISHED")
        return registered
    except Exception as error:
        warn(f"{type(error).__name__}: {error}")
        return None


def track_now(profile: str, table: str) -> Registered | None:
    """Bring MLflow up to date with files that no ``make repro`` has logged; warn on failure.

    The parent run is the one of this commit and configuration, or a new one without child runs.
    """
    if switched_off():
        return None
    if subprocess.run(["dvc", "status", "--quiet"], capture_output=True, check=False).returncode:
        log.info("The pipeline is not up to date (dvc status): MLflow shows what was tracked so far. Run `make repro`.")
        return None
    (QUEUE / "warned").unlink(missing_ok=True)  # so that a failure is reported again
    try:
        from stages.runner.runs import connect, create_parent, find_parent

        work(linger=0)
        client, state = connect(), state_key()
        run_id = find_parent(client, state, tag="state") or create_parent(client, state, time.time())
        registered = _complete(client, run_id, profile, table)
        if client.get_run(run_id).info.status == "RUNNING":
            client.set_terminated(run_id)
        return registered
    except Exception as error:
        warn(f"{type(error).__name__}: {error}")
        return None


def _complete(client: "MlflowClient", run_id: str, profile: str, table: str) -> Registered | None:
    """Log changed scores, a description, files and pictures, and register the model."""
    from mlflow.entities import Metric

    from stages.runner.registry import register_classifier
    from stages.runner.runs import log

    scores, tracked = final_scores(profile), client.get_run(run_id).data.metrics
    now = int(time.time() * 1000)
    log(client, run_id, [Metric(key, value, now, 0) for key, value in scores.items() if tracked.get(key) != value], [])
    client.set_tag(run_id, "mlflow.note.content", shortened(table))
    with TemporaryDirectory() as folder:
        gather(Path("metrics", profile), Path("data", profile, "report"), Path(folder))
        client.log_artifacts(run_id, folder)
    return register_classifier(client, run_id, scores)


def shortened(table: str, length: int = MAX_NOTE) -> str:
    """The first lines of a table, as many as fit into MLflow, and a hint to the others."""
    if len(table) <= length:
        return table
    end = "\n\nMore rows than fit: the metrics have all of them."
    return table[: table.rfind("\n", 0, length - len(end) + 1)] + end


def gather(metrics: Path, report: Path, target: Path) -> None:
    """Copy the files of a profile's metrics and report that a person wants to see.

    Pictures go into one folder under names such as detector-shoes.jpg, because MLflow's page that compares runs only
    shows files of the top folder; confusion matrices are drawn. Metrics keep their paths below metrics/.
    """
    for path in sorted(path for path in report.rglob("*") if path.suffix in PICTURES):
        shutil.copyfile(path, target / "-".join(path.relative_to(report).parts))
    for path in sorted(metrics.rglob("*.json")):
        place = target / "metrics" / path.relative_to(metrics)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    for path in sorted(metrics.glob("plots/*/confusion.csv")):
        for panel, figure in confusion_figures(path):
            figure.savefig(target / f"{path.parent.name}-confusion-{panel}.png")
