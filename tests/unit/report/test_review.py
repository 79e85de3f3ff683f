"""The review of a change, in a small git repository: a commit, and a work tree with other metrics, params and lock."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from profiles import FOLDER, composed
from stages.core.errors import StageError
from stages.report.key_metrics import Change
from stages.report.review import cause, corrections_lines, main, pictures, review, stage_lines, verdict

BEFORE = {
    "detector/shoes": {"map50": 0.8, "constant_box": 0.1, "recall": 0.5},
    "classifier/accuracy": {"mean": 0.6},
    "classifier/given_class": {"mean": 0.3},
    "retrieval/one": {"wardrobe": {"hit@1": 0.51}},
    "retrieval/two": {"wardrobe": {"hit@1": 0.4}},
    "retrieval/chance": {"wardrobe": {"hit@1": 0.01}},
}
NOW = {
    "detector/shoes": {"map50": 0.8, "constant_box": 0.1, "recall": 0.6},
    "retrieval/one": {"wardrobe": {"hit@1": 0.59}},
    "retrieval/two": {"wardrobe": {"hit@1": 0.5}},
}
PARAMS = {"profile": "demo", "classifier": {"epochs": 20, "hidden": [8, 8]}}
OUT = [{"path": "models/demo/x", "md5": "1"}]
LOCK = {
    "crops@shoes": {"cmd": "a", "deps": [{"path": "stages/crops", "md5": "1"}], "outs": OUT},
    "dataset": {"cmd": "a", "deps": [{"path": "data/demo/crops", "md5": "1"}], "outs": OUT},
    "pretrain": {"cmd": "a", "outs": OUT},
    "train_classifier": {"cmd": "a", "params": {"params.yaml": {"classifier.epochs": 20}}, "outs": OUT},
    "ingest@photos": {"cmd": "a", "outs": [{"path": "data/photos/ingested/x", "md5": "1"}]},
}


def seeds(**values: list[float]) -> dict:
    names = {"one": ("retrieval/one", "wardrobe.hit@1"), "two": ("retrieval/two", "wardrobe.hit@1"),
             "shoes": ("detector/shoes", "map50")}  # fmt: skip
    content: dict = {"profile": "demo", "seeds": [0, 1, 2], "rows": {}, "metrics": {}}
    for called, own in values.items():
        name, key = names[called]
        content["metrics"][name] = {key: {"values": {str(seed): value for seed, value in enumerate(own)}}}
    return content


SEEDS = seeds(one=[0.5, 0.51, 0.52], two=[0.3, 0.4, 0.5], shoes=[0.7, 0.8, 0.9])


def put(path: str, content: object) -> None:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))  # JSON is YAML


def commit(name: str) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["add", "."], ["commit", "-qm", name], ["tag", name]):
        subprocess.run([*git, *command], check=True)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    for name, content in BEFORE.items():
        put(f"metrics/demo/{name}.json", content)
    put("metrics/demo/seeds.json", SEEDS)
    put("params.yaml", PARAMS)
    put("dvc.lock", {"schema": "2.0", "stages": LOCK})
    commit("before")
    for name, content in NOW.items():
        put(f"metrics/demo/{name}.json", content)
    put("params.yaml", {"profile": "demo", "classifier": {"epochs": 40, "hidden": [8, 8], "dropout": 0.5}})
    stages = json.loads(json.dumps(LOCK))
    stages["crops@shoes"]["deps"][0]["md5"] = stages["dataset"]["deps"][0]["md5"] = "2"
    stages["train_classifier"]["params"]["params.yaml"]["classifier.epochs"] = 40
    put("dvc.lock", {"schema": "2.0", "stages": stages})
    for name in ("detector/shoes", "retrieval/one/wardrobe", "retrieval/two/wardrobe"):
        put(f"data/demo/report/{name}.jpg", "")
    commit("now")
    return tmp_path


def test_review_has_numbers_spread_params_stages_and_pictures(repository):
    # Seeds of `one` and of the best encoder: .50 .51 .52, deviation .01; of `two`: .3 .4 .5, deviation .1.
    # Student's 4.303 for two degrees of freedom, times sqrt(2): 6.085 deviations.
    lines = review("before", "demo", "demo")
    short = subprocess.run(["git", "rev-parse", "--short", "before"], capture_output=True, text=True, check=True)
    assert lines == [
        f"### demo: before ({short.stdout.strip()}) and now",
        "",
        "| key metric | before | now | change | seeds | baseline, now |",
        "| --- | --- | --- | --- | --- | --- |",
        "| wardrobe hit@1 | 0.510 | 0.590 | +0.080 | **beyond** ±0.061 | one, best of 2; 0.010 chance |",
        "",
        "Key metrics unchanged: detectors mean mAP50 0.800; classifier mean accuracy of the heads 0.600.",
        "",
        "**3 of 8 numbers changed**: 1 beyond the spread of the seeds, 1 within, 1 without a spread.",
        "",
        "| number | before | now | change | seeds |",
        "| --- | --- | --- | --- | --- |",
        "| retrieval/one wardrobe.hit@1 | 0.510 | 0.590 | +0.080 | **beyond** ±0.061 |",
        "| detector/shoes recall | 0.500 | 0.600 | +0.100 | no spread |",
        "| retrieval/two wardrobe.hit@1 | 0.400 | 0.500 | +0.100 | within ±0.608 |",
        "",
        "±: two runs that differ in their seed alone differ by less, 19 times of 20 (3 seeds, "
        "`metrics/demo/seeds.json`).",
        "",
        "**2 params changed**",
        "",
        "| param | before | now |",
        "| --- | --- | --- |",
        "| `classifier.dropout` | – | 0.5 |",
        "| `classifier.epochs` | 20 | 40 |",
        "",
        "**3 of 4 stages ran**",
        "- their params changed: `train_classifier`",
        "- their code changed: `crops@shoes`",
        "- what earlier stages made changed: `dataset`",
        "",
        "![detector shoes](data/demo/report/detector/shoes.jpg)",
        "![retrieval two wardrobe](data/demo/report/retrieval/two/wardrobe.jpg)",
        "![retrieval one wardrobe](data/demo/report/retrieval/one/wardrobe.jpg)",
        "",
        "Plots of both: `dvc plots diff before`, then open `dvc_plots/index.html`.",
    ]


def test_same_commit_has_nothing_to_tell(repository, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["review", "now"])
    main()
    said = capsys.readouterr().out
    assert "\n**0 of 8 numbers changed**.\n" in said
    assert "\n**No param changed.**\n" in said and "\n**0 of 4 stages ran**\n" in said
    assert "| key metric |" not in said


def test_spread_is_that_of_the_base_and_one_of_other_results_is_told(repository):
    put("metrics/demo/seeds.json", seeds(one=[0.1, 0.5, 0.9]))
    assert "| retrieval/one wardrobe.hit@1 | 0.510 | 0.590 | +0.080 | **beyond** ±0.061 |" in review(
        "before", "demo", "demo"
    )
    commit("other seeds".replace(" ", "_"))
    lines = review("other_seeds", "demo", "demo")
    assert "It was measured on other results: 1 of 1 numbers at other_seeds are of no seed." in lines


def test_base_without_seeds_of_metrics_says_what_measures_them(repository):
    put("metrics/demo/seeds.json", {"profile": "demo", "seeds": [0, 1, 2], "rows": {}})
    commit("claims")
    lines = review("claims", "demo", "demo")
    assert (
        "No spread: `metrics/demo/seeds.json` at claims has none of the metrics. `make seeds` there measures it."
        in lines
    )


def test_unknown_commit_and_profile_without_metrics_are_one_message_each(repository):
    with pytest.raises(StageError, match=r"BASE is 'nowhere': git knows no such commit"):
        review("nowhere", "demo", "demo")
    with pytest.raises(
        StageError, match=r"metrics/photos: no metrics.*`make repro PROFILE=photos`.*Commit metrics/photos"
    ):
        review("before", "photos", "demo")


def test_other_profile_is_reviewed_by_its_committed_metrics_and_its_composed_params(repository):
    shutil.copytree(FOLDER, "profiles")
    put("metrics/photos/classifier/accuracy.json", {"mean": 0.5})
    lines = review("before", "photos", "demo")
    assert "before has no metrics of photos: all numbers are new. Commit metrics/photos there to compare." in lines
    commit("photos")
    put("metrics/photos/classifier/accuracy.json", {"mean": 0.75})
    content = yaml.safe_load(Path("profiles/photos.yaml").read_text())
    content.setdefault("classifier", {})["epochs"] = 77
    Path("profiles/photos.yaml").write_text(yaml.safe_dump(content))
    lines = review("photos", "photos", "demo")
    assert "| classifier/accuracy mean | 0.500 | 0.750 | +0.250 | no spread |" in lines
    assert f"| `classifier.epochs` | {composed('photos')['classifier']['epochs']} | 77 |" in lines
    assert "**0 of 1 stages ran**" in lines, "the lock's other stages are the demo's"
    assert not [line for line in lines if "dvc plots diff" in line], "they draw the profile of params.yaml"


def test_review_fits_into_a_comment_however_much_changed(repository):
    names = [f"retrieval/encoder{n}" for n in range(30)]
    for name in names:
        put(f"metrics/demo/{name}.json", {f"benchmark{n}": {"hit@1": 0.5} for n in range(30)})
    put("params.yaml", {"profile": "demo", **{f"s{n}": {f"k{m}": 1 for m in range(9)} for n in range(50)}})
    entry = {"cmd": "a", "deps": [{"path": "data/demo/x", "md5": "1"}], "outs": OUT}
    put("dvc.lock", {"stages": {f"stage{n}@{item}": entry for n in range(30) for item in "abcde"}})
    commit("much")
    for name in names:
        put(f"metrics/demo/{name}.json", {f"benchmark{n}": {"hit@1": 0.75} for n in range(30)})
    put("params.yaml", {"profile": "demo", **{f"s{n}": {f"k{m}": 2 for m in range(9)} for n in range(50)}})
    changed = [
        {"cmd": "b"},
        {"params": {}},
        {"deps": [{"path": "stages", "md5": "2"}]},
        {"deps": []},
        {"outs": OUT * 2},
    ]
    stages = {f"stage{n}@{item}": entry | new for n in range(5, 35) for item, new in zip("abcde", changed, strict=True)}
    put("dvc.lock", {"stages": stages})
    lines = review("much", "demo", "demo")
    assert len(lines) <= 60 and max(map(len, lines)) <= 400
    assert "892 more: `dvc metrics diff much`." in lines
    assert "44 more sections, and all values: `dvc params diff much`." in lines


@pytest.mark.parametrize(
    ("change", "values", "said"),
    [
        (0.2, [0.5, 0.6], (1, "no spread")),
        (-0.062, [0.5, 0.51, 0.52], (0, "**beyond** ±0.061")),
        (0.06, [0.5, 0.51, 0.52], (2, "within ±0.061")),
        (0.001, [0.225, 0.225, 0.225], (0, "**beyond** ±0.000")),  # no seed has a part in it
    ],
)
def test_change_is_beyond_the_seeds_where_two_of_them_lie_closer(change, values, said):
    assert verdict(change, values) == said


def test_cause_is_the_first_that_holds():
    old = {"cmd": "a", "params": {"p": 1}, "deps": [{"path": "tables/a.csv", "md5": "1"}], "outs": OUT}
    assert cause(None, old) == "new"
    assert cause(old, old | {"cmd": "b", "params": {}}) == "cmd"
    assert cause(old, old | {"deps": [{"path": "tables/a.csv", "md5": "2"}, {"path": "data/x", "md5": "1"}]}) == "code"
    assert cause(old, old | {"deps": [*old["deps"], {"path": "data/x", "md5": "1"}]}) == "deps"
    assert cause(old, old | {"deps": [*old["deps"], {"path": "data/relabel.csv", "md5": "1"}]}) == "labels"
    assert cause(old, old | {"outs": []}) == "outs"
    assert cause(old, dict(old)) is None


HEADER = "source,item_id,column,value,reason"


def corrections(*lines):
    return "\n".join([HEADER, *lines, ""]).encode()


def test_labels_corrected_by_hand_are_counted_by_column_and_by_what_became_of_them():
    before = corrections("shop,1,type,Tops,", "shop,2,type,Jeans,", "shop,3,color,Red,", "shop,4,color,Red,a reason")
    now = corrections(
        "shop,1,type,Shirts,", "shop,4,color,Red,another", 'shop,5,type,"Tops",', "shop,6,color,,", "shop,7,type,Tops,"
    )
    assert corrections_lines(before, now) == [
        "**Labels changed by hand**, in `data/relabel.csv`: 3 corrected (2 of type, 1 of color); "
        "1 corrected to another value (1 of type); 2 no longer corrected (1 of type, 1 of color).",
        "",
    ]
    assert corrections_lines(before, before) == corrections_lines(b"", corrections()) == []


def test_review_names_the_corrections_since_the_base(repository):
    Path("data/relabel.csv").write_bytes(corrections("shop,1,type,Tops,"))
    lines = review("before", "demo", "demo")
    assert "**Labels changed by hand**, in `data/relabel.csv`: 1 corrected (1 of type)." in lines


def test_stages_of_one_name_are_counted_and_those_gone_are_named():
    before = {f"embed@{n}": {"cmd": "a"} for n in range(5)} | {"pretrain": {"cmd": "a"}}
    now = {f"embed@{n}": {"cmd": "b"} for n in range(5)}
    assert stage_lines(before, now, "main") == [
        "**5 of 5 stages ran**", "- their command changed: `embed` × 5", "- gone: `pretrain`", "",
    ]  # fmt: skip
    assert stage_lines({}, now, "main")[0].startswith("Which stages ran is not known: `dvc.lock` at main has none")


def test_pictures_are_of_what_moved_most_one_of_an_encoder(tmp_path):
    for name in ("detector/a", "detector/b", "retrieval/x/inshop", "retrieval/y/inshop", "retrieval/y/shoes"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.jpg").touch()
    changed = [
        Change("training/x", "hit@1", 0, 1), Change("retrieval/y", "shoes.hit@1", 0, 1), Change("detector/b", "map50", 0, 1),
    ]  # fmt: skip
    found = [path.relative_to(tmp_path).as_posix() for path in pictures(tmp_path, changed)]
    assert found == ["detector/b.jpg", "retrieval/y/shoes.jpg", "retrieval/x/inshop.jpg"]
    assert pictures(tmp_path / "nothing", changed) == []
