"""Tracking into a real SQLite store: parents, the registered model, its aliases."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from stages.report.tracked import shortened
from stages.runner.registry import best_version, register_classifier

GIT = {"git_commit": "c" * 40, "git_dirty": "False"}


def version(number: int, score: float, data: str = "d", heads: str = "color") -> SimpleNamespace:
    tags = {"val_mean_accuracy": str(score), "dataset_md5": data, "heads": heads, "test mean/accuracy": str(1 - score)}
    return SimpleNamespace(version=number, tags=tags)


def test_best_version_is_the_one_with_the_highest_validation_score():
    versions = [version(1, 0.5), version(2, 0.75), version(3, 0.625)]
    assert best_version(versions, versions[2]).version == 2


def test_of_equal_versions_the_oldest_stays_best():
    versions = [version(2, 0.5), version(1, 0.5), version(3, 0.25)]
    assert best_version(versions, versions[0]).version == 1


def test_versions_scored_on_other_data_or_heads_do_not_compete():
    versions = [version(1, 0.9, data="other"), version(2, 0.8, heads="color type"), version(3, 0.5), version(4, 0.25)]
    assert best_version(versions, versions[3]).version == 3


def test_version_without_a_score_never_wins():
    unscored = SimpleNamespace(version=1, tags={"dataset_md5": "d", "heads": "color"})
    assert best_version([unscored, version(2, 0.0)], unscored).version == 2


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


@pytest.mark.slow
def test_classifier_is_registered_once_for_each_content_and_the_aliases_follow(store, tmp_path):
    from stages.runner.runs import create_parent

    name = "seamline-demo-classifier"
    runs = [create_parent(store, f"r{number}", 0.0) for number in range(4)]
    train("aaa", 0.5)
    first = register_classifier(store, runs[0], {"classifier/accuracy/type": 0.25})
    assert first == {"name": name, "current": "1", "best": "1"}
    assert register_classifier(store, runs[1], {}) == first, "the same bytes are no new version"
    train("bbb", 0.25)
    assert register_classifier(store, runs[2], {}) == {"name": name, "current": "2", "best": "1"}
    train("ccc", 0.75)
    assert register_classifier(store, runs[3], {}) == {"name": name, "current": "3", "best": "3"}
    train("aaa", 0.5)
    assert register_classifier(store, runs[3], {}) == {"name": name, "current": "1", "best": "3"}

    best, current = (store.get_model_version_by_alias(name, alias) for alias in ("best", "current"))
    assert (best.version, best.run_id, best.tags["dvc_md5"]) == (3, runs[3], "ccc")
    assert current.tags == {"val_mean_accuracy": "0.5", "test type/accuracy": "0.25", "heads": "color type",
                            "dvc_md5": "aaa", "dataset_md5": "d1", **GIT}  # fmt: skip
    import mlflow.artifacts

    got = mlflow.artifacts.download_artifacts(
        f"models:/{name}@best", dst_path=str(tmp_path / "got"), registry_uri=f"sqlite:///{tmp_path}/mlflow.db",
        tracking_uri=f"sqlite:///{tmp_path}/mlflow.db",
    )  # fmt: skip
    assert (Path(got) / "weights.safetensors").read_text() == "ccc"

    train("ddd", 0.1, dataset="d2")
    assert register_classifier(store, runs[3], {}) == {"name": name, "current": "4", "best": "4"}


@pytest.mark.slow
def test_classifier_trained_since_is_not_taken_for_the_one_that_was_evaluated(store):
    train("bbb", 0.5)
    assert register_classifier(store, "no run", {}, only={"aaa"}) is None
    assert not store.search_registered_models()


@pytest.mark.slow
def test_end_of_a_repro_adds_final_scores_pictures_and_description_to_the_parent(store):
    from PIL import Image

    from stages.report.tracked import close_parent
    from stages.runner import tracking
    from stages.runner.runs import create_parent, find_parent

    train("aaa", 0.5)
    metrics = Path("metrics/demo")
    report = Path("data/demo/report/detector")
    for folder in (metrics / "classifier", metrics / "plots" / "classifier", report):
        folder.mkdir(parents=True)
    (metrics / "classifier" / "accuracy.json").write_text(json.dumps({"color": 0.5}))
    confusion = "panel,actual,predicted,rows\ncolor,red,red,1\ncolor,red,blue,1\n"
    (metrics / "plots" / "classifier" / "confusion.csv").write_text(confusion)
    Image.new("RGB", (4, 4)).save(report / "shoes.jpg")
    run_id = create_parent(store, "make-1", 0.0)
    tracking.QUEUE.mkdir(parents=True)
    (tracking.QUEUE / "repro-make-1").touch()

    registered = close_parent("make-1", failed=False, profile="demo", table="| a table |")
    assert registered == {"name": "seamline-demo-classifier", "current": "1", "best": "1"}
    run = store.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {
        "classifier/accuracy/color": 0.5,
        "validation/encoders/classifier/val_mean_accuracy": 0.5,
    }
    assert run.data.params == {"profile": "demo", "simclr.epochs": "2"}
    assert run.data.tags["mlflow.note.content"] == "| a table |"
    files = {item.path for item in store.list_artifacts(run_id)}
    assert files == {"classifier-confusion-color.png", "detector-shoes.jpg", "metrics", "model"}
    assert find_parent(store, run.data.tags["state"], tag="state") == run_id
    assert not (tracking.QUEUE / "repro-make-1").exists()


@pytest.mark.slow
def test_failed_repro_gets_no_scores_from_files_that_may_be_older(store):
    from stages.report.tracked import close_parent
    from stages.runner import tracking
    from stages.runner.runs import create_parent

    train("aaa", 0.5)
    run_id = create_parent(store, "make-1", 0.0)
    tracking.QUEUE.mkdir(parents=True)
    (tracking.QUEUE / "repro-make-1").touch()
    assert close_parent("make-1", failed=True, profile="demo", table="") is None
    run = store.get_run(run_id)
    assert (run.info.status, run.data.metrics) == ("FAILED", {})
    assert not store.search_registered_models()


def test_long_table_is_cut_between_lines_and_says_where_the_rest_is():
    table = "\n".join(f"| row {number} |" for number in range(40))
    assert shortened(table, len(table)) == table
    cut = shortened(table, 200)
    rows, _, end = cut.partition("\n\n")
    assert len(cut) <= 200 < len(cut) + len("\n| row 10 |")
    assert table.startswith(f"{rows}\n") and "the metrics have them" in end
