"""The registered model in a real SQLite store: its versions and their aliases."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow_store import GIT, train

from stages.runner.registry import best_version, register_classifier


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
