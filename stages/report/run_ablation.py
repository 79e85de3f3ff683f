"""Train the variants of the ablation once and print their table: ``python -m stages.run run_ablation [VARIANT ...]``.

The stages ``ablation`` and ``ablation_table`` run over two lists of params.yaml, which are empty so that `dvc repro`
skips them. This command fills the lists (with the named variants, or with all variants of the profile), adds the
variants' sections, runs DVC, and in any case reverts params.yaml. It also removes the stages' entries from dvc.lock.
The work tree is then unchanged, except for metrics/<profile>/ablation.csv, ablation.json and ablation/. The next run
takes unchanged variants from DVC's run cache. Lists that a profile fills itself stay filled.

`dvc exp` would not be simpler: a variant is a stage with its own section, not a value of one stage, and the results of
nine experiments would still have to be collected into one table.
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
TABLE = "all"
LOCK = Path("dvc.lock")


def with_list(text: str, key: str, names: list[str]) -> str:
    """A params file with new entries of the list ``key``; its comment and all other lines stay.

    Raises:
        StageError: the list is not on one line of its own.
    """
    line = re.compile(rf"^({key}: )\[[^\]\n]*\]", re.MULTILINE)
    if len(line.findall(text)) != 1:
        raise StageError(f"{PARAMS_FILE}: expected one line `{key}: [...]`. Write the list on one line.")
    return line.sub(lambda match: f"{match[1]}[{', '.join(names)}]", text)


def chosen(named: list[str], sections: dict[str, object]) -> list[str]:
    """The named variants, or all.

    Raises:
        StageError: a name has no section, or there is no section at all.
    """
    if unknown := set(named) - set(sections):
        raise StageError(f"profiles: no variant `ablation.{shown(unknown)}`; there are: {shown(sections)}.")
    if not sections:
        raise StageError("profiles: section `ablation` is empty. Add a variant (profiles/base.yaml has examples).")
    return named or list(sections)


@contextmanager
def switched_on(variants: dict[str, Any]) -> Iterator[None]:
    """Fill the two lists and add the sections in params.yaml; revert both at the end, keeping edits made meanwhile."""
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
    """Remove the entries of the ablation's stages from dvc.lock, in DVC's own format."""
    from dvc.utils.serialize import modify_yaml

    if not lock.is_file():
        return
    with modify_yaml(str(lock)) as content:
        stages = content.get("stages") or {}
        for name in [name for name in stages if name.split("@")[0] in ("ablation", "ablation_table")]:
            del stages[name]


def repro() -> int:
    """Run `dvc repro` of the table and its dependencies; its exit status. On Ctrl-C, wait until DVC has stopped."""
    with subprocess.Popen(["dvc", "repro", "ablation_table"]) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def run(named: list[str]) -> int:
    """Train the variants, print their table; the exit status.

    Raises:
        StageError: an unknown variant, or lists filled by hand together with named variants or without a table.
    """
    content = load_params()
    by_hand = lookup(content, VARIANTS)
    if by_hand and (named or not lookup(content, TABLES)):
        raise StageError(
            f"{PARAMS_FILE}: `{VARIANTS}` was filled by hand: {shown(by_hand)}. `make ablation` then takes no VARIANTS "
            f"and needs `{TABLES}: [{TABLE}]` as well. Or empty both lists."
        )
    if by_hand:
        status = repro()  # the lists are filled for every repro
    else:
        variants = resolved(str(lookup(content, "profile"))).get("ablation") or {}
        with switched_on({name: variants[name] for name in chosen(named, variants)}):
            status = repro()
    if status == 0:
        print(as_text(read_rows(Path("metrics") / str(lookup(content, "profile")) / "ablation.csv")))
    return status


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("variant", nargs="*", help="variants in the profile's `ablation`; all by default")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that params.yaml is reverted then as well
    with one_message():
        sys.exit(run(args.variant))
