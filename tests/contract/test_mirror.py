"""Unit tests stand where the modules stand: ``stages/a/b.py`` is tested by ``tests/unit/a/test_b.py``.

Tests that exercise several modules of a package are in ``tests/unit/a/test_a.py``; those of ``bench/`` in
``tests/unit/bench/``.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
STATEMENTS = 15  # up to which a module may go without a test of its own
# Modules with more that need none -> why.
EXEMPT = {
    "bench/cluster.py": "times and prints; what it measures is tested in tests/pipeline/test_cluster.py",
    "bench/export.py": "times and prints; what it measures is tested in tests/pipeline/test_export.py",
    "bench/gallery.py": "times and prints; what it measures is tested in tests/unit/retrieval/test_index.py",
    "bench/rivals.py": "runs other libraries in an environment of their own",
    "bench/ingest.py": "times and prints; what it measures is tested in test_generate.py and test_memory.py",
    "bench/page.py": "asks and prints; what it asks is tested in tests/unit/web",
    "bench/retrieval.py": "times and prints; what it measures is tested in test_memory.py",
    "bench/wardrobe.py": "times and prints; what it measures is tested in tests/unit/app and test_memory.py",
    "bench/simclr.py": "the command line of simclr_loops.py, which is tested",
}


def modules() -> list[Path]:
    """Modules of ``stages`` and ``bench``, relative to the checkout."""
    return sorted(
        path.relative_to(ROOT)
        for area in ("stages", "bench")
        for path in (ROOT / area).rglob("*.py")
        if path.name != "__init__.py"
    )


def place(module: Path) -> Path:
    """Where a module or package is tested, relative to tests/unit."""
    parts = module.parts[1:] if module.parts[0] == "stages" else module.parts
    return Path(*parts[:-1], f"test_{module.stem}.py")


def statements(path: Path) -> int:
    """Statements of a module but for imports and docstrings."""
    nodes = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.stmt)]
    docstrings = [node for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    return len(nodes) - len(docstrings) - sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in nodes)


def test_places():
    assert place(Path("stages/a/b.py")) == Path("a/test_b.py")
    assert place(Path("stages/run.py")) == Path("test_run.py")
    assert place(Path("bench/memory.py")) == Path("bench/test_memory.py")


def test_modules_are_tested_where_they_stand():
    for module in modules():
        name = module.as_posix()
        if name not in EXEMPT and statements(ROOT / module) > STATEMENTS:
            assert (UNIT / place(module)).is_file(), f"{name} has no tests/unit/{place(module).as_posix()}"


def test_test_files_name_a_module_or_its_package():
    packages = {module.parent for module in modules()}
    allowed = {place(module) for module in modules()} | {place(package / package.name) for package in packages}
    for test in sorted(path.relative_to(UNIT) for path in UNIT.rglob("test_*.py")):
        assert test in allowed, f"no module {test.parent.as_posix()}/{test.stem.removeprefix('test_')}.py"


def test_exempt_modules_are_there_and_untested():
    for name in EXEMPT:
        assert (ROOT / name).is_file() and not (UNIT / place(Path(name))).exists(), name
        assert statements(ROOT / name) > STATEMENTS, name


def test_every_test_file_has_tests():
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert [
            node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
        ], path
