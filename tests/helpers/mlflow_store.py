"""A trained classifier as DVC has it, and an MLflow store in a SQLite file to track it in."""

import json
from pathlib import Path

import pytest
import yaml

GIT = {"git_commit": "c" * 40, "git_dirty": "False"}


def train(md5: str, score: float, dataset: str = "d1") -> None:
    """What a training leaves behind."""
    folder = Path("models/demo/encoders/classifier")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").write_text(md5)
    (folder / "encoder.json").write_text(json.dumps({"classes": {"type": ["a", "b"], "color": ["x", "y"]}}))
    (folder / "history.csv").write_text(f"epoch,val_mean_accuracy\n1,{score}\n")
    entry = {
        "deps": [{"path": "data/demo/dataset", "md5": dataset}],
        "outs": [{"path": folder.as_posix(), "md5": md5}],
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"stages": {"train_classifier": entry}}))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.delenv("SEAMLINE_TRACKING", raising=False)
    monkeypatch.setattr("stages.runner.tracking.git_tags", lambda: GIT)
    monkeypatch.setattr("stages.runner.runs.git_tags", lambda: GIT)
    Path("params.yaml").write_text("profile: demo\nsimclr: {epochs: 2}\n")
    Path("dvc.yaml").write_text("stages: {}\n")
    from stages.runner import runs

    client = runs.connect()
    client.create_experiment(runs.EXPERIMENT, artifact_location=(tmp_path / "artifacts").as_uri())
    return client
