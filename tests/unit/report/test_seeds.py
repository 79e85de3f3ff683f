"""Scores over several seeds: which seeds change, which numbers count, their mean and spread."""

import json
from pathlib import Path

import pytest

from profiles import FOLDER, NAMES, composed
from stages.core.errors import StageError
from stages.report.key_metrics import key_metrics, read_metrics
from stages.report.seeds import (
    FIXED,
    TRAINED,
    as_markdown,
    claims,
    metrics_spread,
    reach,
    seed_numbers,
    spread,
    with_seed,
)


def test_seeds_of_trainings_change_and_those_that_draw_or_resample_stay():
    params = {
        "profile": "p",
        "demo": {"shoes": {"seed": 3, "images": 9}},
        "detector": {"shoes": {"seed": 0, "epochs": 2}, "caps": {"seed": 0, "augment": {"scale": 0.5}}},
        "encoder": {"ensemble": {"members": [{"seed": 0}], "seed": 0}},
        "classifier": {"seed": 0, "hidden": [512, 512]},
        "evaluate": {"seed": 0},
    }
    assert with_seed(params, 7) == {
        "profile": "p",
        "demo": {"shoes": {"seed": 3, "images": 9}},
        "detector": {"shoes": {"seed": 7, "epochs": 2}, "caps": {"seed": 7, "augment": {"scale": 0.5}}},
        "encoder": {"ensemble": {"members": [{"seed": 7}], "seed": 7}},
        "classifier": {"seed": 7, "hidden": [512, 512]},
        "evaluate": {"seed": 0},
    }


def test_seeds_of_named_sections_alone_can_change():
    params = {"detector": {"seed": 0}, "encoder": {"siamese": {"seed": 0}, "fir": {"seed": 0}}}
    changed = {"detector": {"seed": 0}, "encoder": {"siamese": {"seed": 2}, "fir": {"seed": 2}}}
    assert with_seed(params, 2, ["encoder"]) == changed


def test_seed_of_a_section_that_nobody_has_classed_is_refused():
    with pytest.raises(StageError, match="`siamese` has a seed"):
        with_seed({"siamese": {"seed": 0}}, 1)


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_of_the_profiles_is_classed_and_only_seeds_change(name):
    before = composed(name)
    after = with_seed(before, 41)
    for section in before:
        assert section in TRAINED or after[section] == before[section]
    for section in ("simclr", "classifier"):
        assert after[section] == {**before[section], "seed": 41}
    assert {one["seed"] for one in after["detector"].values()} == {41}
    assert not set(TRAINED) & set(FIXED)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    head = {"accuracy": 0.75, "baseline_majority": 0.5, "baseline_majority_given_detected": 0.625, "rows": 4}
    view = {"hit_at_1": 0.5, "hit_at_5": 0.75, "map": 0.625}
    chance = {"hit_at_1": 0.01, "hit_at_5": 0.05, "map": 0.02}
    wardrobe = {"whole_gallery": view, "same_superclass": view, "chance": {"whole_gallery": chance}}
    contents = {
        "data/demo/report/detector/shoes.json": {"map50": 0.875, "map50_95": 0.5, "constant_box": 0.125},
        "data/demo/report/classifier.json": {"heads": {"color": head}, "type_group": head, "mean": head},
        "data/demo/report/retrieval/simclr.json": {"wardrobe": wardrobe},
        "data/demo/report/simclr.json": {
            "heads": {"type": {"simclr": 0.5, "imagenet": 0.375, "baseline_majority": 0.25}}
        },
        "models/demo/encoders/simclr/encoder.json": {"knn_majority": 0.25},
    }
    for path, content in contents.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(content))
    Path("models/demo/encoders/simclr/history.csv").write_text("epoch,loss,knn_type\n0,,.375\n1,2,.5\n")
    return [Path(path) for path in contents if path.startswith("data")], [Path("models/demo/encoders/simclr")]


def test_claims_are_the_numbers_of_one_seed_beside_their_baselines(tree):
    found = {name: (row["value"], row["baseline"]) for name, row in claims(*tree).items()}
    assert found == {
        "detector/shoes mAP50": (0.875, 0.125),
        "classifier/color accuracy": (0.75, 0.625),
        "classifier/type_group accuracy": (0.75, 0.625),
        "retrieval/simclr/wardrobe hit@1": (0.5, 0.01),
        "retrieval/simclr/wardrobe hit@5": (0.75, 0.05),
        "retrieval/simclr/wardrobe mAP": (0.625, 0.02),
        "simclr/type k-NN": (0.5, 0.25),
        "encoder/simclr k-NN type": (0.5, 0.25),
    }


def row(value: float, baseline: float | None = 0.5) -> dict:
    return {"a mAP": {"value": value, "baseline": baseline, "baseline_name": "chance"}}


def test_spread_is_mean_sample_deviation_and_extremes():
    # Of 2, 4, 4, 5, 7, 9, 11: mean 6, squared distances 16 4 4 1 1 9 25 = 60, over n - 1 = 6: 10.
    values = {seed: row(value) for seed, value in enumerate([2, 4, 4, 5, 7, 9, 11])}
    result = spread(values)["rows"]["a mAP"]
    assert (result["mean"], result["min"], result["max"]) == (6, 2, 11)
    assert result["deviation"] == pytest.approx(10**0.5)
    assert result["values"] == {"0": 2, "1": 4, "2": 4, "3": 5, "4": 7, "5": 9, "6": 11}


def test_baseline_is_averaged_as_it_moves_with_the_seed_too():
    result = spread({0: row(1, 0.25), 1: row(1, 0.5), 2: row(1, 0.75)})["rows"]["a mAP"]
    assert (result["baseline"], result["deviation"]) == (0.5, 0)
    assert spread({0: row(1, None), 1: row(1), 2: row(1)})["rows"]["a mAP"]["baseline"] is None


def test_row_that_one_seed_lacks_is_an_error():
    with pytest.raises(StageError, match="seed 1: no 'a mAP'"):
        spread({0: row(1), 1: {}, 2: row(1)})


def test_every_metric_has_its_spread_and_gives_the_seeds_back():
    seeds = [{"detector/shoes": {"map50": value, "boxes": 9.0}} for value in (1.0, 2.0, 6.0)]
    found = metrics_spread(dict(enumerate(seeds)))
    # Mean 3, squared distances 4 1 9 = 14, over 2: 7.
    assert found["detector/shoes"]["map50"] == {
        "mean": 3, "deviation": pytest.approx(7**0.5), "min": 1, "max": 6, "values": {"0": 1, "1": 2, "2": 6},
    }  # fmt: skip
    assert seed_numbers({"seeds": [0, 1, 2], "rows": {}, "metrics": found}) == seeds
    assert seed_numbers({"seeds": [0, 1, 2], "rows": {}}) == []


def test_committed_seeds_of_the_demo_know_every_key_metric_of_its_metrics():
    folder = FOLDER.parent / "metrics" / "demo"
    now = {(row.what, row.metric) for row in key_metrics(read_metrics(folder))}
    seeds = seed_numbers(json.loads((folder / "seeds.json").read_text()))
    assert len(now) > 5 and len(seeds) >= 3
    assert [{(row.what, row.metric) for row in key_metrics(numbers)} >= now for numbers in seeds] == [True] * len(seeds)


def test_metric_that_one_seed_lacks_is_an_error():
    with pytest.raises(StageError, match="seed 2: no 'mean'"):
        metrics_spread({0: {"a": {"mean": 1.0}}, 1: {"a": {"mean": 1.0}}, 2: {"a": {}}})


def test_two_seeds_lie_apart_by_at_most_what_student_says():
    # Deviation 1; of Student's table, 0.975: 4.303 for two degrees of freedom, 2.776 for four. Times sqrt(2).
    assert reach([1, 2, 3]) == pytest.approx(4.303 * 1.41421, abs=1e-3)
    assert reach([0.5, 0.5, 2, 2.5, 2.0]) == pytest.approx(2.776 * 1.41421 * (3.5 / 4) ** 0.5, abs=1e-3)
    assert reach([2, 2, 2]) == 0


def test_table_shows_mean_deviation_extremes_and_baseline():
    content = {"profile": "demo", **spread({0: row(0.25), 1: row(0.5), 2: row(0.75)})}
    assert as_markdown(content).splitlines() == [
        "Profile demo, seeds 0, 1, 2; mean ± sample standard deviation.",
        "",
        "| what | mean ± deviation | min | max | baseline |",
        "| --- | --- | --- | --- | --- |",
        "| a mAP | 0.500 ± 0.250 | 0.250 | 0.750 | 0.500 chance |",
    ]
