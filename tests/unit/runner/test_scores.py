"""What a parent run carries: params of listed items, key metrics from the files that stages wrote."""

import json
from pathlib import Path

import pytest

from stages.runner.scores import active_params, scores_at


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(path: str, content: object) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_params_of_items_that_no_list_names_are_left_out():
    content = {
        "profile": "p",
        "detectors": ["shoes"],
        "detector": {"shoes": {"epochs": 3, "augment": {"scale": 0.5}}, "caps": {"epochs": 9}},
        "demo": {"shoes": {"seed": 1}},
        "simclr": {"epochs": 2},
    }
    assert active_params(content) == {
        "profile": "p",
        "detectors": ["shoes"],
        "detector.shoes.epochs": 3,
        "detector.shoes.augment.scale": 0.5,
        "simclr.epochs": 2,
    }


def test_numbers_of_a_metrics_folder_go_by_file_and_key_under_names_that_mlflow_takes(project):
    put("metrics/demo/retrieval/simclr.json", {"wardrobe": {"hit@1": 0.5}})
    put("metrics/demo/retrieval/labels/simclr.json", {"photos": {"hit@1": 0.25}})
    one, other = "retrieval/simclr/wardrobe/hit_at_1", "retrieval/labels/simclr/photos/hit_at_1"
    assert scores_at(Path("metrics/demo/retrieval")) == {one: 0.5, other: 0.25}
    assert scores_at(Path("metrics/demo/retrieval/simclr.json")) == {one: 0.5}
    assert scores_at(Path("metrics/demo")) == {one: 0.5, other: 0.25}


def test_counts_and_tables_of_other_stages_are_no_key_metrics(project):
    for name in ("statistics", "leakage", "seeds", "external/theirs"):
        assert scores_at(put(f"metrics/demo/{name}.json", {"map": 1, "rows": {"accuracy": 1}})) == {}


def test_validation_of_a_classifier_is_the_epochs_that_was_kept_and_of_knn_its_last(project):
    put(
        "models/demo/encoders/classifier/history.csv", "epoch,val_mean_accuracy,val_color\n1,.5,.9\n2,.75,.1\n3,.5,.2\n"
    )
    put("models/demo/encoders/classifier/encoder.json", {"epoch": 2})
    put("models/demo/encoders/simclr/history.csv", "epoch,loss,knn_type\n0,,.5\n1,3,.625\n2,2,\n3,1,.25\n")
    assert scores_at(Path("models/demo/encoders/classifier")) == {
        "validation/encoders/classifier/val_mean_accuracy": 0.75
    }
    assert scores_at(Path("models/demo/encoders/simclr")) == {"validation/encoders/simclr/knn_type": 0.25}


def test_validation_of_a_detector_is_the_epochs_that_was_kept(project):
    """The third: best by mAP50-95, of equals the last; the first has the best mAP50."""
    lines = "epoch,val_map50,val_map50_95\n1,.75,.25\n2,.5,.375\n3,.625,.375\n4,.5,.25\n"
    put("models/demo/detectors/shoes/history.csv", lines)
    assert scores_at(Path("models/demo/detectors/shoes")) == {
        "validation/detectors/shoes/val_map50": 0.625,
        "validation/detectors/shoes/val_map50_95": 0.375,
    }


def test_knn_of_a_training_that_kept_an_earlier_epoch_is_that_epochs(project):
    put("models/demo/encoders/simclr/history.csv", "epoch,loss,knn_type\n0,,.5\n1,3,.625\n2,2,.25\n")
    put("models/demo/encoders/simclr/encoder.json", {"epoch": 1})
    assert scores_at(Path("models/demo/encoders/simclr")) == {"validation/encoders/simclr/knn_type": 0.625}


def test_training_that_wrote_its_scores_is_taken_at_its_word(project):
    put("models/demo/encoders/fir/history.csv", "epoch,val_hit_at_1\n0,.1\n")
    put("models/demo/encoders/fir/scores.json", {"val_hit_at_1": 0.5, "best_epoch": 2})
    found = scores_at(Path("models/demo/encoders/fir"))
    assert found == {"validation/encoders/fir/val_hit_at_1": 0.5, "validation/encoders/fir/best_epoch": 2.0}


def test_path_without_scores_gives_none(project):
    assert scores_at(Path("data/demo/dataset")) == {}
    assert scores_at(Path("metrics/demo/classifier")) == {}
