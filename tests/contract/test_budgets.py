"""Sizes that a person can read: params, metrics, plots, stages, modules. Held for good."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from profiles import FOLDER
from stages.core.params import load_params, lookup
from stages.profiles.compose import profile_names

ROOT = Path(__file__).resolve().parents[2]
METRICS = ROOT / "metrics" / "demo"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
PLOTS = yaml.safe_load((ROOT / "plots" / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
TERMINAL = 160  # columns
LINES = {"base": 610, "own": 50, "demo": 200, "photos": 115, "paper": 240}  # of the profiles
COLUMNS = 100
PARAMS_BYTES = 20_000  # without comments
LOCK_BYTES = 100_000
GAP = 4  # columns between two of `dvc metrics show`


def declared() -> list[Path]:
    """Metric files of the demo: those that stages declare, folders unfolded."""
    outs = [out for stage in PIPELINE["stages"].values() for entry in stage.get("metrics", []) for out in entry]
    paths = [ROOT / out.replace("${profile}", "demo") for out in outs if "${item." not in out]
    return sorted(file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file())


def flat(content: dict, prefix: str = "") -> dict[str, float]:
    found = {}
    for key, value in content.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


FILES = {path: flat(json.loads(path.read_text(encoding="utf-8"))) for path in declared()}
KINDS = sorted(
    {path.parent for path in FILES if path.parent != METRICS} | {path for path in FILES if path.parent == METRICS}
)


def test_all_metrics_of_the_demo_are_at_most_250_numbers():
    assert 100 < sum(map(len, FILES.values())) <= 250


@pytest.mark.parametrize("kind", KINDS, ids=lambda path: path.relative_to(METRICS).as_posix())
def test_files_of_one_kind_share_12_keys_and_fit_into_a_terminal_side_by_side(kind):
    files = {path: numbers for path, numbers in FILES.items() if kind in (path, path.parent)}
    keys = {key for numbers in files.values() for key in numbers}
    assert 0 < len(keys) <= 12
    first = max(len(path.relative_to(ROOT).as_posix()) for path in files)
    assert first + sum(GAP + max(len(key), len("0.12345")) for key in keys) - GAP <= TERMINAL


def test_a_retrained_encoder_changes_at_most_15_numbers():
    for encoder in PARAMS["trained_encoders"]:
        own = {path: numbers for path, numbers in FILES.items() if path.stem == encoder}
        assert 0 < sum(map(len, own.values())) <= 15, encoder


def test_metrics_in_git_take_at_most_one_and_a_half_megabytes():
    sizes = [path.stat().st_size for path in (ROOT / "metrics").rglob("*") if path.is_file()]
    assert sum(sizes) <= 1_500_000


def test_plots_are_at_most_40_with_a_title_and_a_template_of_ours_each():
    titles = [title for entry in PLOTS for title in entry]
    assert len(set(titles)) == len(titles) <= 40
    for entry in PLOTS:
        for title, plot in entry.items():
            assert (ROOT / ".dvc" / "plots" / f"{plot['template']}.json").is_file(), title


def test_plots_of_stages_are_those_of_the_list_and_no_others():
    assert not [name for name, stage in PIPELINE["stages"].items() if name != "ablation_table" and "plots" in stage]
    drawn = {Path(path).name for entry in PLOTS for plot in entry.values() for path in plot["y"]}
    assert drawn == {path.name for path in (METRICS / "plots").rglob("*.csv")}
    for entry in PLOTS:
        for plot in entry.values():
            for path, column in plot["y"].items():
                file = ROOT / "plots" / path.replace("${profile}", "demo")
                header = file.read_text(encoding="utf-8").partition("\n")[0].split(",")
                assert {column, plot["x"]} <= set(header), path


def test_page_of_plots_shows_the_pictures_of_training_in_every_profile_that_has_them():
    page = (ROOT / ".dvc" / "plots.html").read_text(encoding="utf-8")
    profiles = json.loads(re.search(r"for \(const profile of (\[.*\])\)", page)[1])
    assert set(profile_names(FOLDER)) - set(OWN) == set(profiles)
    shown = set(re.findall(r'"encoders/(\w+/\w+\.jpg)"', page))
    drawn = (ROOT / "stages/encoders/attention.py").read_text(encoding="utf-8")
    assert shown == {f"attention/{name}" for name in re.findall(r'"(\w+\.jpg)"', drawn)} != set()


def test_dvc_yaml_has_at_most_450_lines():
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 450


def test_the_demo_has_at_most_60_stages_and_its_lock_as_many_entries():
    lists = [[*stage.get("matrix", {}).values()] or [stage.get("foreach")] for stage in PIPELINE["stages"].values()]
    items = [1 if names == [None] else len(lookup(PARAMS, names[0].strip("${}"))) for names in lists]
    assert 40 < sum(items) <= 60
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    assert len(lock) == sum(items)


def test_lock_is_below_100_kilobytes():
    assert (ROOT / "dvc.lock").stat().st_size < LOCK_BYTES


def test_no_module_is_above_400_lines_and_no_room_has_more_than_25_files():
    files = [path for path in (ROOT / "stages").rglob("*.py") if path.name != "__init__.py"]
    assert [path for path in files if len(path.read_text(encoding="utf-8").splitlines()) > 400] == []
    rooms = Counter(path.parent for path in files)
    assert {room: count for room, count in rooms.items() if count > 25} == {}


OWN = {path.stem: 30 for path in FOLDER.glob("*.yaml") if load_params(path).get("based_on") == "own"}  # of `make add`


@pytest.mark.parametrize("name", [*LINES, *OWN])
def test_profile_is_short_and_narrow(name):
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= (LINES | OWN)[name]
    assert [line for line in lines if len(line) > COLUMNS] == []


def test_every_profile_has_its_budget():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(LINES) | set(OWN)


def test_params_of_the_demo_are_small_and_narrow():
    text = (FOLDER.parent / "params.yaml").read_text(encoding="utf-8")
    values = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    assert len("\n".join(values).encode()) < PARAMS_BYTES
    assert max(map(len, text.splitlines())) <= COLUMNS
