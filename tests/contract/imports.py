"""The project's modules that a stage imports, read from the source without running it."""

import ast
from functools import cache
from pathlib import Path


def module_file(name: str, root: Path) -> Path | None:
    """File of a dotted module name, or None when it is not ours."""
    path = root.joinpath(*name.split("."))
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


@cache
def direct_imports(path: Path, root: Path) -> frozenset[Path]:
    """Files of ours that one file imports anywhere, inside functions and behind names in strings too."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {id(inner) for node in ast.walk(tree) if _is_type_checking(node) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("stages."):
            names = [node.value] if node.value != "stages.run" else []  # a command line: what it runs is no import
        files = (module_file(name, root) for name in names if name.startswith("stages."))
        found |= {file for file in files if file is not None}
    return frozenset(found - {path})


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def closure(path: Path, root: Path) -> set[Path]:
    """All files of ours that a file imports directly or indirectly, itself included; no bare __init__ files."""
    seen: set[Path] = set()
    todo = [path]
    while todo:
        current = todo.pop()
        if current not in seen:
            seen.add(current)
            todo += direct_imports(current, root)
    return {file for file in seen if file.name != "__init__.py"}
