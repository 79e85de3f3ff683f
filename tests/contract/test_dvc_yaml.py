"""dvc.yaml against the code: a stage depends on exactly the modules it imports, and on the params it reads."""

import ast
import shlex
from pathlib import Path

import networkx
import pytest
import yaml
from dvc.repo import Repo
from imports import closure, direct_imports, module_file

from stages.core.determinism import SAME_BYTES
from stages.demo.demo import SOURCES
from stages.ingest.readers import READERS
from stages.learning.acceleration import RuntimeParams
from stages.networks.encoders.kinds import ENCODER_KINDS, RECIPES
from stages.run import STAGES as MODULES

ROOT = Path(__file__).resolve().parents[2]
LOADER = ROOT / "stages/networks/load.py"
DVC_YAML = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in DVC_YAML.items()}  # a `foreach` has its stage below `do`
# Their content never changes what a stage writes (.dvcignore says the same).
UNTRACKED = "stages/runner/"


def imported(name: str) -> set[str]:
    """Files of ours that the stage's module imports; those that are imported by name, too."""
    modules = [MODULES[name], *(f"stages.demo.sources.{source}" for source in SOURCES if name == "demo")]
    modules += [f"stages.ingest.readers.{reader}" for reader in READERS if name == "ingest"]
    modules += [f"stages.encoders.{kind}" for kind in RECIPES if name == "train_encoder"]
    if LOADER in closure(module_file(MODULES[name], ROOT), ROOT):
        modules += [f"stages.networks.{kind.loader[0]}" for kind in ENCODER_KINDS.values()]
    files = {file for module in modules for file in closure(ROOT / (module.replace(".", "/") + ".py"), ROOT)}
    paths = {path.relative_to(ROOT).as_posix() for path in files}
    return {path for path in paths if not path.startswith(UNTRACKED)}


@pytest.mark.parametrize("name", STAGES)
def test_command_runs_the_stage_of_its_name(name):
    assert STAGES[name]["cmd"].split()[:4] == ["python", "-m", "stages.run", name]
    assert MODULES[name].rsplit(".", 1)[1] == name  # a stage and its module share a name


@pytest.mark.parametrize("name", STAGES)
def test_folder_of_raw_data_may_have_a_space(name):
    words = shlex.split(STAGES[name]["cmd"].replace("${raw}", "my raw data"))
    assert all(word.startswith("my raw data") for word in words if "raw data" in word)
    assert "data" not in words


def test_every_stage_that_can_run_is_in_dvc_yaml():
    assert set(MODULES) == set(STAGES)


@pytest.mark.parametrize("name", STAGES)
def test_stage_depends_on_every_module_it_imports(name):
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith("stages/")]
    covered = {path for path in imported(name) if any(path == dep or path.startswith(f"{dep}/") for dep in deps)}
    assert imported(name) - covered == set()


@pytest.mark.parametrize("name", STAGES)
def test_stage_depends_on_no_module_that_it_does_not_import(name):
    files = imported(name)
    for dep in STAGES[name]["deps"]:
        if dep.startswith("stages/") and not dep.endswith(".yaml"):
            assert any(path == dep or path.startswith(f"{dep}/") for path in files), dep


FROM_HEADS = {"HEAD", "HEADS", "heads_of", "LABELS", "CROPS"}  # what follows from tables/heads.csv
DEFINES_HEADS = {"stages/core/heads.py", "stages/contracts/tables.py"}


def uses_heads(file: str) -> bool:
    """Whether a module imports what follows from the table of heads."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text(encoding="utf-8")))
    return any(alias.name in FROM_HEADS for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names)


def test_heads_reach_every_stage_that_uses_them_by_the_tables_or_by_the_labels():
    """So that no stage needs a dep on tables/heads.csv beside its data (stages/core/heads.py)."""
    with Repo(str(ROOT)) as repo:
        graph = repo.index.graph
        before = {stage.addressing: {one.addressing for one in networkx.descendants(graph, stage)} for stage in graph}
    after_labels = {name.partition("@")[0] for name, own in before.items() if any("labels@" in one for one in own)}
    users = set()
    for name in STAGES:
        if any(map(uses_heads, imported(name) - DEFINES_HEADS)):
            users.add(name)
            assert "tables" in STAGES[name]["deps"] or name in after_labels, name
    assert {"labels", "crops", "dataset", "statistics", "evaluate_classifier", "benchmark"} <= users


@pytest.mark.parametrize("name", STAGES)
def test_stage_says_what_it_makes(name):
    assert len(STAGES[name]["desc"]) > 30


def test_what_only_shows_a_stage_is_left_out_of_its_hash():
    assert f"/{UNTRACKED.rstrip('/')}" in (ROOT / ".dvcignore").read_text(encoding="utf-8").split()


def test_no_stage_reads_the_ground_truth_of_the_demo():
    for name, stage in STAGES.items():
        assert not any("truth" in str(dep) for dep in stage["deps"]), name
        assert name == "demo" or "truth" not in stage["cmd"], name


def test_stages_track_what_of_runtime_changes_bytes_and_nothing_else_of_it():
    tracked = {f"runtime.{key}" for key in RuntimeParams.model_fields if key not in SAME_BYTES}
    assert {"engine", "gpus"} == set(SAME_BYTES) < set(RuntimeParams.model_fields)
    with Repo(str(ROOT)) as repo:
        of_stage = {
            stage.addressing: {key for dep in stage.deps if dep.protocol == "params" or hasattr(dep, "params")
                               for key in dep.params if key.partition(".")[0] == "runtime"}
            for stage in repo.index.stages
        }  # fmt: skip
    assert {frozenset(keys) for keys in of_stage.values()} == {frozenset(), frozenset(tracked)}
    assert of_stage["crops@deepfashion_mm"] == of_stage["embed"] == tracked


def test_imports_point_to_earlier_areas_only():
    flow = [
        *("core", "runner", "contracts", "learning", "networks"),
        *(
            "demo",
            "ingest",
            "labels",
            "detection",
            "crops",
            "salient",
            "simclr",
            "suspects",
            "classifier",
            "benchmarks",
            "leakage",
            "encoders",
        ),
        *("retrieval", "profiles", "report", "page", "app", "composed", "web", "export", "sharing"),
    ]
    for path in (ROOT / "stages").rglob("*.py"):
        area = path.relative_to(ROOT / "stages").parts[0]
        if area not in flow:
            continue
        for other in direct_imports(path, ROOT):
            target = other.relative_to(ROOT / "stages").parts[0]
            allowed = target not in flow or flow.index(target) <= flow.index(area)
            assert allowed, f"{path} imports {other}"


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-salient.txt"])
def test_no_path_of_this_machine_is_tracked_in_requirements(file):
    for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
        assert not line.startswith("--"), line
