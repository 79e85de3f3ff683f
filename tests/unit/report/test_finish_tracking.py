"""The end of a repro in a real SQLite store: scores, pictures and description of its parent run."""

import json
from pathlib import Path

import pytest
from mlflow_store import train

from stages.report.finish_tracking import shortened


@pytest.mark.slow
def test_end_of_a_repro_adds_final_scores_pictures_and_description_to_the_parent(store):
    from PIL import Image

    from stages.report.finish_tracking import close_parent
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
    from stages.report.finish_tracking import close_parent
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
    assert table.startswith(f"{rows}\n") and "the metrics have all of them" in end
