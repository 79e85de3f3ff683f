"""CONTRIBUTING, CITATION and pyproject.toml name verbs, modules and versions that are there."""

import re
import tomllib
from pathlib import Path

import yaml

from stages.console import VERBS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LENIENT = 54  # modules in which the type checker passes over an error; a smaller number is welcome, a larger one is not


def test_every_verb_that_the_guide_names_is_there():
    assert set(re.findall(r"seamline ([a-z][a-z-]*)[ )`\n]", GUIDE)) - {"verbs"} <= set(VERBS)


def test_every_module_that_the_type_checker_is_lenient_with_is_there():
    modules = [entry["module"] for entry in PROJECT["tool"]["mypy"]["overrides"] if "disable_error_code" in entry]
    names = [name for module in modules for name in ([module] if isinstance(module, str) else module)]
    assert len(names) == len(set(names)) <= LENIENT
    assert [name for name in names if not (ROOT / f"{name.replace('.', '/')}.py").is_file()] == []


def test_citation_and_changelog_know_the_version():
    version = PROJECT["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version and citation["license"] == PROJECT["project"]["license"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_folder_of_code_is_installed_and_no_other():
    include = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert include == ["stages", "stages.*", "bench"]
    assert not [path for path in (ROOT / "bench").iterdir() if path.is_dir() and path.name != "__pycache__"]
    folders = {path.parent for path in (ROOT / "stages").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []
