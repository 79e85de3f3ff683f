"""The MLflow side of tracking: parent runs for repros, child runs for stages, in the store or on the server.

Only the background worker and the end of ``make repro`` import this module, and with it MLflow.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.files import parse_yaml
from stages.runner.scores import active_params
from stages.runner.tracking import checkout, default_uri, git_tags, note_error, state_key

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "seamline"


def connect() -> "MlflowClient":
    """A client of the store; it gives up on an unreachable server after seconds instead of minutes."""
    import logging

    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or default_uri())


def experiment(client: "MlflowClient") -> str:
    """Id of the project's experiment, created if need be."""
    existing = client.get_experiment_by_name(EXPERIMENT)
    if existing:
        return existing.experiment_id
    # A tracking server chooses where pictures are stored; with the local store they are next to its database.
    local = None if "MLFLOW_TRACKING_URI" in os.environ else (checkout() / "mlartifacts").as_uri()
    kind = {"mlflow.experimentKind": "custom_model_development"}  # not MLflow's pages for language models
    return client.create_experiment(EXPERIMENT, artifact_location=local, tags=kind)


def find_parent(client: "MlflowClient", key: str, tag: str = "repro_key") -> str | None:
    """The newest parent run with this key, or with this ``state``."""
    runs = client.search_runs(
        [experiment(client)], f"tags.{tag} = '{key}'", order_by=["start_time DESC"], max_results=1
    )
    return runs[0].info.run_id if runs else None


def create_parent(client: "MlflowClient", key: str, started: float, named: str | None = None) -> str:
    """A parent run with the params of the whole repro, named after the experiment if DVC runs one."""
    from mlflow.entities import Param

    content = parse_yaml(Path("params.yaml").read_text(encoding="utf-8"))
    profile, git = str(content.get("profile")), git_tags()
    tags = {"repro_key": key, "state": state_key(), "profile": profile, **git,
            "mlflow.source.name": "dvc repro", "mlflow.source.git.commit": git["git_commit"]}  # fmt: skip
    name = named or f"{profile} {git['git_commit'][:7]}{'+' if git['git_dirty'] == 'True' else ''}"
    run_id = client.create_run(experiment(client), int(started * 1000), tags, run_name=name).info.run_id
    log(client, run_id, [], [Param(name, str(value)[:6000]) for name, value in active_params(content).items()])
    return run_id


def log(client: "MlflowClient", run_id: str, metrics: list[Any], params: list[Any]) -> None:
    """Metrics and params in batches: the store takes 100 params at a time."""
    for start in range(0, max(len(metrics), len(params)), 100):
        client.log_batch(run_id, metrics=metrics[start : start + 100], params=params[start : start + 100])


def log_stage(client: "MlflowClient", event: dict[str, Any]) -> None:
    """Log a finished stage as a child run; its main scores go to the parent run, a classifier into the registry."""
    from mlflow.entities import Metric, Param

    parent = find_parent(client, event["repro"]) or create_parent(
        client, event["repro"], event["started"], event.get("experiment")
    )
    tags = {"mlflow.parentRunId": parent, "stage": event["stage"], **event["tags"]}
    started, ended = (int(event[key] * 1000) for key in ("started", "ended"))
    run = client.create_run(experiment(client), start_time=started, tags=tags, run_name=event["stage"])
    run_id = run.info.run_id
    metrics = [Metric(key, float(value), ended, 0) for key, value in event["metrics"].items()]
    for key, values in event["curves"].items():
        steps = enumerate(values, start=1)
        metrics += [Metric(key, float(value), ended, step) for step, value in steps if value is not None]
    log(client, run_id, metrics, [Param(key, str(value)[:6000]) for key, value in event["params"].items()])
    for picture in event["pictures"]:
        if Path(picture).is_file():
            client.log_artifact(run_id, picture, "pictures")
    status = "FAILED" if event["failed"] else "FINISHED"
    client.set_terminated(run_id, status, end_time=ended)
    log(client, parent, [Metric(key, value, ended, 0) for key, value in event["scores"].items()], [])
    client.set_terminated(parent, status, end_time=ended)  # in a plain dvc repro any stage may be the last one
    if event["stage"] == "evaluate_classifier" and not event["failed"]:
        from stages.runner.registry import register_classifier

        try:
            inputs = {md5 for key, md5 in event["tags"].items() if key.startswith("input.")}
            register_classifier(client, parent, event["scores"], inputs)
        except Exception as error:  # the stage is logged; the event must not be logged twice
            note_error(error)
