"""Score vectors that another program computed, with the evaluator of the pipeline's encoders.

Usage: python -m stages.run score_vectors --embeddings FILE --benchmark NAME
           [--metric cosine|euclidean] [--out FILE.json] [--name NAME]

Reads:  FILE (formats: vectors.py): one vector for every row with an image in queries.parquet and gallery.parquet of
        the benchmark in the active profile; a row in both tables has one vector. Params: profile, evaluate.
Writes: the main scores as a table to standard output. --out: all scores as JSON. --name: the same into
        metrics/<profile>/external/<NAME>.json; `make docs` adds them to docs/leaderboard.md, marked as external.
The metric is that of --metric, otherwise the one in the metadata of the Parquet file, otherwise cosine.
"""

import logging
import re
from pathlib import Path
from typing import Any

from stages.core.errors import StageError, shown
from stages.core.files import file_digest, read_json, write_json
from stages.core.params import load_params, lookup, section
from stages.retrieval.catalogue import Place, shown_at
from stages.retrieval.category import PREDICTION, TOPS, predicts_categories
from stages.retrieval.metrics import EvaluateParams, as_rows, evaluate, read_table_rows
from stages.retrieval.similarity import Rows
from stages.retrieval.vectors import METRICS, PARTS, VectorFile, open_vectors
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)


def benchmark_folder(benchmark: str, content: dict[str, Any]) -> Path:
    """Folder of a benchmark of the active profile.

    Raises:
        StageError: the profile has no benchmark of this name, or it was not built.
    """
    names = lookup(content, "benchmarks")
    profile = lookup(content, "profile")
    if benchmark not in names:
        raise StageError(f"no benchmark {benchmark!r} in `benchmarks` of profile {profile}; there are: {shown(names)}.")
    folder = Path("data") / str(profile) / "benchmarks" / benchmark
    if not (folder / "queries.parquet").is_file():
        raise StageError(f"{folder}: the benchmark is not built. Run `dvc repro benchmark@{benchmark}`.")
    return folder


def read_parts(file: VectorFile, folder: Path) -> tuple[Rows, Rows]:
    """Queries and gallery with their vectors.

    Raises:
        StageError: a row without a vector, a vector without a row, NaN or infinity.
    """
    tables = {name: read_table_rows(folder / f"{name}.parquet") for name in PARTS}
    known = {row for table, has_image in tables.values() for row in table["row_id"].filter(has_image).to_pylist()}
    if extra := set(file.ids.to_pylist()) - known:
        raise StageError(
            f"{file.path}: {len(extra)} of {len(file.ids)} row ids are no rows with an image of {folder}: "
            f"{shown(extra)}. Leave them out."
        )
    sides = []
    for table, has_image in tables.values():
        vectors = file.aligned(table["row_id"].combine_chunks(), has_image)
        try:
            sides.append(as_rows(table, has_image, vectors))
        except StageError as error:
            raise StageError(f"{file.path}: {error}") from None
    return sides[0], sides[1]


def score_file(path: Path, benchmark: str, metric: str | None, content: dict[str, Any]) -> dict[str, Any]:
    """All scores of a file of vectors."""
    folder = benchmark_folder(benchmark, content)
    params = section(EvaluateParams, "evaluate", content)
    file = open_vectors(path)
    if file.width < 1:
        raise StageError(f"{path}: its vectors have no dimensions.")
    metric = metric or file.metric or "cosine"
    sides = read_parts(file, folder)
    result = evaluate(*sides, metric, params, f"ranking {benchmark}", predicts_categories(folder))
    return result | {"metric": metric, "sha256": file_digest(path)}


def table(benchmark: str, result: dict[str, Any]) -> str:
    """The main scores of both views, with chance."""
    lines = [f"{benchmark}: {result['n_queries']} queries, {result['gallery']} in the gallery, "
             f"{result['dimensions']} dimensions, {result['metric']}; {result['n_missed']} queries without an image "
             f"(misses), {result['n_without_match']} without a match (left out)"]  # fmt: skip
    shown = shown_at(Place.TERMINAL)
    width = 1 + max(len(measure.label) for measure in shown)
    for view, title in (("whole_gallery", "whole gallery"), ("same_superclass", "within the query's category")):
        scores, chance = result[view], result["chance"][view]
        lines.append(f"\n{title}, {scores['n_scored']} queries scored")
        for measure in shown:
            if (key := measure.key) in scores:
                low, high = measure.ends
                between = f"  95% {scores[low]:.4f} to {scores[high]:.4f}" if low in scores else ""
                chance_level = f"  chance {chance[key]:.4f}" if key in chance else ""
                lines.append(f"  {measure.label:<{width}}{scores[key]:.4f}{chance_level}{between}")
    if clean := result.get("clean"):
        scores = clean["whole_gallery"]
        numbers = "  ".join(f"{measure.label} {scores[measure.key]:.4f}" for measure in shown if measure.key in scores)
        lines.append(f"\nwithout the {clean['n_left_out']} queries that nearly repeat a training picture\n  {numbers}")
    if (votes := result.get(PREDICTION, {})).get("n_scored"):
        majority = result["chance"][PREDICTION]
        lines.append(f"\ncategory by the vote of {votes['neighbors']} neighbors, {votes['n_scored']} queries scored")
        lines += [f"  top-{n:<3}{votes[f'top_{n}']:.4f}  majority {majority[f'top_{n}']:.4f}" for n in TOPS]
    return "\n".join(lines)


def external_path(name: str, content: dict[str, Any]) -> Path:
    """Path of the results of this name.

    Raises:
        StageError: the name is no file name, or is that of an encoder.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise StageError(f"--name {name!r}: expected letters, digits, dots, dashes and underscores.")
    if name in (*lookup(content, "encoders"), "chance"):
        raise StageError(f"--name {name!r} is the name of an encoder of the pipeline: choose another.")
    return Path("metrics") / str(lookup(content, "profile")) / "external" / f"{name}.json"


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("--embeddings", type=Path, required=True, help=".parquet, or .npy with ids next to it")
    parser.add_argument("--benchmark", required=True, help="a name in `benchmarks` of params.yaml")
    parser.add_argument("--metric", choices=METRICS, help="how two vectors are compared (default: see above)")
    parser.add_argument("--out", type=Path, help="write all scores to this file as JSON")
    parser.add_argument("--name", help="add the scores to the leaderboard under this name")
    args = parser.parse_args()
    with one_message():
        content = load_params()
        kept = external_path(args.name, content) if args.name else None
        result = score_file(args.embeddings, args.benchmark, args.metric, content)
        print(table(args.benchmark, result))
        if args.out:
            write_json(args.out, {args.benchmark: result})
        if kept:
            before = read_json(kept) if kept.is_file() else {}
            write_json(kept, before | {args.benchmark: result})
            log.info(f"{kept}: written; `make docs` puts it into docs/leaderboard.md")
