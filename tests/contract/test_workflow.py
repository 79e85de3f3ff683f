"""The workflow for GitHub does nothing of its own: it calls .ci/run and targets of the Makefile."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS = [yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader) for file in FILES]
STEPS = [step for workflow in WORKFLOWS for job in workflow["jobs"].values() for step in job["steps"]]
RUN = [step["run"] for step in STEPS if "run" in step]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
MAKE = re.compile(r'make (?:--silent )?([a-z-]+)(?: [A-Z]+="?\$?\w+"?)*(?: >> "\$GITHUB_STEP_SUMMARY")?')


@pytest.mark.parametrize("command", RUN)
def test_command_is_ci_run_or_a_target_that_exists(command):
    found = MAKE.fullmatch(command.strip())
    assert command in ("bash .ci/run", "bash .ci/run quick") or (found and found[1] in TARGETS)


def test_the_workflow_checks_and_reviews():
    assert RUN[0] == "bash .ci/run" and any(command.startswith("make --silent review ") for command in RUN)
    assert (ROOT / ".ci" / "run").is_file()


def test_permissions_are_to_read_and_no_job_takes_more():
    for workflow in WORKFLOWS:
        assert workflow["permissions"] == {"contents": "read"}
        assert not [job for job in workflow["jobs"].values() if "permissions" in job]


def test_checkout_has_the_history_that_a_review_reads_and_leaves_no_credentials():
    first, *others = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert first == {"fetch-depth": "0", "persist-credentials": "false"}
    assert others and all(settings == {"persist-credentials": "false"} for settings in others)


def test_all_is_checked_on_the_oldest_python_and_the_quick_tests_on_all_that_are_supported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [name[1] for line in project["classifiers"] if (name := re.search(r":: (3\.\d+)$", line))]
    first, other = [step["with"] for step in STEPS if step.get("uses", "").startswith("actions/setup-python@")]
    (matrix,) = [job["strategy"]["matrix"] for job in WORKFLOWS[0]["jobs"].values() if "strategy" in job]
    assert project["requires-python"] == f">={first['python-version']}"
    assert other["python-version"] == "${{ matrix.python }}"
    assert [first["python-version"], *matrix["python"]] == supported
    assert all((ROOT / settings["cache-dependency-path"]).is_file() for settings in (first, other))
