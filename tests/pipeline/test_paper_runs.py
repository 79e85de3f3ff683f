"""Profile paper runs from upstream's trees to the leaderboard: every main of its DAG, in order, in one process.

The trees are tiny and drawn in upstream's formats (stages/demo/sources). The params are those that `make use` composes;
only what a machine without network, GPU and time needs is replaced, and every replaced key is printed.
"""

import shlex
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from profiles import composed, whole
from stages.core.files import read_json
from stages.core.params import section
from stages.profiles.check import check
from stages.profiles.text import differences
from stages.run import COMMANDS, STAGES

ROOT = Path(__file__).resolve().parents[2]
PAPER = composed("paper")
# Changes of the demo's sections: counts that are as small as the stages allow.
DRAWN: dict[str, dict[str, Any]] = {
    "deepfashion2": {"train": 40, "validation": 16, "test": 2, "width": 96, "height": 128},
    "headwear": {"images": 24, "width": 96, "height": 96},
    "shoes": {"images": 30, "width": 96, "height": 96},
    "fashion_products": {
        "types": {"Tshirts": 16, "Shirts": 16, "Jeans": 16, "Dresses": 16, "Heels": 8, "Caps": 8}, "accessories": 2,
        "width": 72, "height": 96,
    },
    "deepfashion_mm": {"people": 24, "additional": 2, "width": 75, "height": 110},
    "inshop": {"train_items": 10, "test_items": 5},
    "consumer_to_shop": {"train_items": 6, "val_items": 3, "test_items": 4},
    "category_coarse": {"train": 54, "val": 18, "test": 18},
    "category_fine": {"train": 90, "val": 18, "test": 18},
    "fashion144k": {"train": 24, "valid": 8, "test": 8},
}  # fmt: skip
# Key, or its last parts -> what it is here. The longest that fits a dotted key counts.
REPLACED: dict[str, Any] = {
    # Time. Sides are pixels, the smallest that the published architectures take.
    "epochs": 1,
    "schedule.batch": 16,
    "workers": 0,
    "shards": 2,
    "image_size": 32,
    "attention.image_size": 48,
    "dinov2.image_size": 28,
    "inception_v3.image_size": 75,
    "detector.*.image_size": 64,
    "detector.*.model": "yolo11n.yaml",
    "warmup_epochs": 0,
    "runtime.compile": False,
    # A CPU may have no bfloat16.
    "runtime.precision": "float32",
    # The trees are tiny.
    "min_category_images": 4,
    # An untrained detector is sure of nothing.
    "confidence": 0.0001,
}


def replacement(key: tuple[str, ...]) -> Any:
    """What a setting is replaced by; KeyError: it stays."""
    fits = [
        words
        for words in (tuple(name.split(".")) for name in REPLACED)
        if len(words) <= len(key)
        and all(word in ("*", part) for word, part in zip(words, key[-len(words) :], strict=True))
    ]
    return REPLACED[".".join(max(fits, key=len, default=key))]


def small(content: Any, key: tuple[str, ...] = ()) -> Any:
    """The params with everything replaced that such a machine cannot do."""
    if isinstance(content, dict):
        return {name: small(value, (*key, name)) for name, value in content.items()}
    if isinstance(content, list):
        return [small(one, key) for one in content]
    if key[-1:] == ("weights",) and content == "download":
        return "none"
    try:
        new = replacement(key)
    except KeyError:
        return content
    return new if isinstance(content, bool | str) else min(content, new)


def draw(raw: Path, truth: Path) -> None:
    """Every source of the paper in upstream's format."""
    from stages.demo.demo import SOURCES, draw_sources

    demo = whole("demo")["demo"]
    sections = {
        name: section(SOURCES[name].PARAMS, name, {name: demo[name] | DRAWN[name]}) for name in PAPER["sources"]
    }
    draw_sources(sections, raw, truth)


def commands(folder: Path) -> dict[str, list[str]]:
    """Name of every stage of dvc.yaml in this folder -> its command; what a stage needs comes before it."""
    from dvc.repo import Repo
    from networkx import lexicographical_topological_sort

    with Repo(str(folder)) as repo:
        order = lexicographical_topological_sort(repo.index.graph.reverse(), key=lambda stage: stage.addressing)
        return {stage.name: shlex.split(stage.cmd) for stage in order if stage.cmd}


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with the trees and params of the paper, in which stages run."""
    for name in ("dvc.yaml", ".dvcignore", "tables", "data/relabel.csv", "profiles", "docs/published.csv"):
        there = tmp_path / name
        there.parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile)(ROOT / name, there)
    (tmp_path / "stages").symlink_to(ROOT / "stages")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\nanalytics = false\n")
    for folder in ("annotations", "boxes"):
        (tmp_path / "data/paper" / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SEAMLINE_TRACKING", "off")
    monkeypatch.setenv("SEAMLINE_DEVICE", "cpu")
    monkeypatch.setenv("SEAMLINE_WORKERS", "1")  # in this process
    return tmp_path


def shown_changes(changed: dict[str, tuple[Any, Any]]) -> str:
    """A line for each change, with the keys that have it."""
    keys: dict[str, list[str]] = {}
    for key, (new, published) in changed.items():
        keys.setdefault(f"{key.rsplit('.', 1)[-1]} {published!r} -> {new!r}", []).append(key)
    return "\n".join(f"  {change}: {', '.join(names)}" for change, names in keys.items())


@pytest.mark.slow
def test_every_main_of_the_paper_runs_to_the_leaderboard(project, monkeypatch, capsys):
    params = small(PAPER)
    check(params, Path("profiles/paper.yaml"))
    (project / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    replaced = differences(params, PAPER)
    with capsys.disabled():
        print(f"\nprofile paper with {len(replaced)} keys replaced:\n{shown_changes(replaced)}")
    # Members of the ensemble have weights; everything that could be replaced is there.
    ends = {key.rsplit(".", 1)[-1] for key in replaced}
    assert ends == {name.rsplit(".", 1)[-1] for name in REPLACED} | {"weights", "members"}

    seconds: dict[str, float] = {}
    started = time.monotonic()
    draw(project / params["raw"], project / "truth")
    seconds["draw"] = time.monotonic() - started
    for name, command in commands(project).items():
        assert command[:3] == ["python", "-m", "stages.run"]
        started = time.monotonic()
        import_module(STAGES[command[3]]).STAGE.run(command[4:])
        seconds[name] = time.monotonic() - started
    slowest = sorted(seconds, key=seconds.__getitem__, reverse=True)[:8]
    with capsys.disabled():
        print(f"{len(seconds)} commands in {sum(seconds.values()):.0f} s; longest:", end=" ")
        print(", ".join(f"{name} {seconds[name]:.0f}" for name in slowest))

    items = [
        ("ingest", "sources"), ("boxes", "detectors"), ("train_detector", "detectors"), ("labels", "label_sources"),
        ("crops", "label_sources"), ("benchmark", "benchmarks"), ("train_encoder", "trained_encoders"),
    ]  # fmt: skip
    off = {"demo", "salient", "evaluate_salient", "ablation", "ablation_table"}  # their lists are empty
    expected = {f"{stage}@{item}" for stage, key in items for item in PAPER[key]}
    expected |= STAGES.keys() - off - {stage for stage, _ in items}
    assert set(seconds) == expected | {"draw"}

    monkeypatch.setattr(sys, "argv", ["leaderboard_page", "leaderboard.md"])
    import_module(COMMANDS["leaderboard_page"]).main()
    page = (project / "leaderboard.md").read_text(encoding="utf-8")
    tables = dict(part.split("\n", 1) for part in page.split("\n### ")[1:])
    for benchmark in PAPER["benchmarks"]:
        rows = [line for line in tables[benchmark].splitlines() if line.startswith("| ")]
        for encoder in PAPER["encoders"]:
            report = read_json(project / f"data/paper/report/retrieval/{encoder}.json")
            assert 0 <= report[benchmark]["whole_gallery"]["hit_at_1"] <= 1
            # Once, and once more among the softmaxes where it has a category path.
            assert sum(line.startswith(f"| {encoder} ") for line in rows) in (1, 2), (encoder, benchmark)
    metrics = project / "metrics/paper"
    assert {path.stem for path in (metrics / "training").iterdir()} == set(PAPER["trained_encoders"])
    assert read_json(metrics / "statistics.json") and read_json(metrics / "leakage.json")
