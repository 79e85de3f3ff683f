"""The trained classifier as versions of a registered model in MLflow, the best of them under an alias.

A version holds the files of the stage's out; its tag ``dvc_md5`` is the hash of the same bytes in DVC. There are two
aliases. ``current`` is the version in the work tree. ``best`` has the highest ``val_mean_accuracy``: the mean accuracy
over the heads on the validation split, of the epoch that was kept. Only versions with the data set and the heads of
``current`` are compared, because others were scored on other rows; of equals the oldest is best. MLflow itself calls
the newest version ``latest``: ``models:/<name>/latest``.
"""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.core.files import parse_yaml, read_json
from stages.runner.scores import scores_at
from stages.runner.tracking import read_lock

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

SCORE = "val_mean_accuracy"
COMPARABLE = ("dataset_md5", "heads")  # versions that agree in these tags have comparable scores
DESCRIPTION = "Multi-head attribute classifier; its embedding is what the matcher compares."


def register_classifier(
    client: "MlflowClient", run_id: str, scores: dict[str, float], only: Collection[str] | None = None
) -> dict[str, str] | None:
    """Register the trained classifier as a version of its model if its bytes are new, and move the aliases.

    Args:
        run_id: the parent run, which gets the files as its artifact ``model``.
        scores: key metrics (``scores_at``); the classifier's become tags of the version.
        only: hashes of classifiers that may be registered; one with another hash was trained since and is left alone.

    Returns:
        Model name and the numbers of the two versions; None without such a classifier in dvc.lock.
    """
    profile = str(parse_yaml(Path("params.yaml").read_text(encoding="utf-8")).get("profile"))
    folder, entry = Path(f"models/{profile}/encoders/classifier"), read_lock().get("train_classifier", {})
    hashes = {item["path"]: item.get("md5") for kind in ("deps", "outs") for item in entry.get(kind, [])}
    md5 = hashes.get(folder.as_posix())
    if not md5 or (only is not None and md5 not in only) or not (folder / "encoder.json").is_file():
        return None
    name = f"seamline-{profile}-classifier"
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=DESCRIPTION)
    versions = list(client.search_model_versions(f"name = '{name}'"))
    current = next((candidate for candidate in versions if candidate.tags.get("dvc_md5") == md5), None)
    if current is None:
        tags = {"dvc_md5": md5, "dataset_md5": hashes.get(f"data/{profile}/dataset")}
        current = _add(client, name, run_id, folder, _score_tags(folder, scores) | tags)
        versions.append(current)
    best = best_version(versions, current)
    for alias, version in (("current", current), ("best", best)):
        client.set_registered_model_alias(name, alias, str(version.version))
    return {"name": name, "current": str(current.version), "best": str(best.version)}


def best_version(versions: "list[ModelVersion]", current: "ModelVersion") -> "ModelVersion":
    """The highest validation score among the versions comparable with ``current``; of equals the oldest."""
    rivals = [
        version for version in versions if all(version.tags.get(key) == current.tags.get(key) for key in COMPARABLE)
    ]
    return max(rivals, key=lambda version: (float(version.tags.get(SCORE, -1)), -int(version.version)))


def _score_tags(folder: Path, scores: dict[str, float]) -> dict[str, Any]:
    tags: dict[str, Any] = {key.rsplit("/", 1)[1]: value for key, value in scores_at(folder).items()}
    accuracy = "classifier/accuracy/"
    tags |= {
        f"test {key.removeprefix(accuracy)}/accuracy": value
        for key, value in scores.items()
        if key.startswith(accuracy)
    }
    return tags | {"heads": " ".join(sorted(read_json(folder / "encoder.json")["classes"]))}


def _add(client: "MlflowClient", name: str, run_id: str, folder: Path, tags: dict[str, Any]) -> "ModelVersion":
    client.log_artifacts(run_id, str(folder), "model")
    run = client.get_run(run_id)
    tags |= {key: run.data.tags.get(key) for key in ("git_commit", "git_dirty")}
    source = f"{run.info.artifact_uri}/model"  # a server only accepts the run's own artifacts
    return client.create_model_version(name, source, run_id, {key: str(value) for key, value in tags.items()})
