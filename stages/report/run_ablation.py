"""Run the ablation ladder once and print its table: ``python -m stages.run run_ablation [VARIANT ...]``.

The stages ``ablation`` and ``ablation_table`` run over two lists of params.yaml that are empty, so that `dvc repro`
leaves them alone. This command fills the lists (with the named variants, or with all rungs of the profile), adds the
rungs' sections as the profile composes them, runs DVC, and takes all of it out again, whatever happened; it takes the
stages' entries out of dvc.lock, so that the work tree is as before, with metrics/<profile>/ablation.csv, ablation.json
and ablation/ added. What has not changed comes from DVC's run cache the next time. Lists that a profile fills stay.

`dvc exp` would not make this simpler: a rung is a stage with a section of its own, not a value of one stage, and nine
experiments would have to be gathered into one table by code of ours.
"""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stages.classifier.ablation_table import as_text, read_rows
from stages.core.errors import StageError, shown
from stages.core.params import PARAMS_FILE, load_params, lookup
from stages.profiles.compose import resolved
from stages.profiles.text import dumped
from stages.runner.stage import new_parser, one_message

VARIANTS, TABLES = "ablation_variants", "ablation_tables"
TABLE = "ladder"
LOCK = Path("dvc.lock")


def with_list(text: str, key: str, names: list[str]) -> str:
    """A params file in which the list ``key`` has other entries; its comment and all other lines stay.

    Raises:
        StageError: when the list does not stand on one line of its own.
    """
    line = re.compile(rf"^({key}: )\[[^\]\n]*\]", re.MULTILINE)
    if len(line.findall(text)) != 1:
        raise StageError(f"{PARAMS_FILE}: expected one line `{key}: [...]`. Write the list on one line.")
    return line.sub(lambda match: f"{match[1]}[{', '.join(names)}]", text)


def chosen(named: list[str], sections: dict[str, object]) -> list[str]:
    """The named variants, or all.

    Raises:
        StageError: for a name without a section, or when there is none at all.
    """
    if unknown := set(named) - set(sections):
        raise StageError(f"profiles: no rung `ablation.{shown(unknown)}`; there are: {shown(sections)}.")
    if not sections:
        raise StageError("profiles: section `ablation` has no rung. Add one (profiles/base.yaml has examples).")
    return named or list(sections)


@contextmanager
def switched_on(variants: dict[str, Any]) -> Iterator[None]:
    """The two lists and the rungs' sections in params.yaml, taken out at the end; edits meanwhile are kept."""
    sections = dumped({"ablation": variants})
    filled = with_list(PARAMS_FILE.read_text(encoding="utf-8"), VARIANTS, list(variants))
    PARAMS_FILE.write_text(with_list(filled, TABLES, [TABLE]) + sections, encoding="utf-8")
    try:
        yield
    finally:
        emptied = with_list(PARAMS_FILE.read_text(encoding="utf-8").replace(sections, ""), VARIANTS, [])
        PARAMS_FILE.write_text(with_list(emptied, TABLES, []), encoding="utf-8")
        forget(LOCK)


def forget(lock: Path) -> None:
    """Take the entries of the ladder's stages out of dvc.lock, the rest written as DVC writes it."""
    from dvc.utils.serialize import modify_yaml

    if not lock.is_file():
        return
    with modify_yaml(str(lock)) as content:
        stages = content.get("stages") or {}
        for name in [name for name in stages if name.split("@")[0] in ("ablation", "ablation_table")]:
            del stages[name]


def repro() -> int:
    """`dvc repro` of the table and what it needs; its exit status. Ctrl-C reaches DVC too, which is waited for."""
    with subprocess.Popen(["dvc", "repro", "ablation_table"]) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def run(named: list[str]) -> int:
    """Run the ladder, print its table; the exit status.

    Raises:
        StageError: for a variant that is none, or lists filled by hand that leave nothing to choose here.
    """
    content = load_params()
    by_hand = lookup(content, VARIANTS)
    if by_hand and (named or not lookup(content, TABLES)):
        raise StageError(
            f"{PARAMS_FILE}: `{VARIANTS}` was filled by hand: {shown(by_hand)}. `make ablation` then takes no VARIANTS "
            f"and needs `{TABLES}: [{TABLE}]` beside it. Or empty both lists."
        )
    if by_hand:
        status = repro()  # somebody wants it in every repro
    else:
        ladder = resolved(str(lookup(content, "profile"))).get("ablation") or {}
        with switched_on({name: ladder[name] for name in chosen(named, ladder)}):
            status = repro()
    if status == 0:
        print(as_text(read_rows(Path("metrics") / str(lookup(content, "profile")) / "ablation.csv")))
    return status


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("variant", nargs="*", help="rungs of the profile's `ablation`; all by default")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the lists are emptied then as well
    with one_message():
        sys.exit(run(args.variant))
