"""Every encoder on every benchmark side by side: one JSON that `dvc metrics diff` compares, one CSV of hit@k curves.

Reads:  METRICS_DIR/retrieval/<encoder>.json, and encoder.json and the weights (their headers only) in
        ENCODERS_DIR/<encoder>/ for each name in the list ``encoders``.
Writes: OUT.json: encoder -> benchmark -> hit@k, mAP, MAP@R with 95 % intervals, how many queries they are about,
        embedding size, parameters, the pictures' size and the epoch that was kept, the figures without flip and by
        region where there are any; ``chance`` is one of the encoders.
        Where the benchmark's items are labels, category_top_<n> too: of the neighbours' vote, and in the row of chance
        of naming the most frequent categories.
        OUT.csv: benchmark, encoder, k, hit.
Params: encoders, benchmarks (the lists).

Figures are about the whole gallery. `make docs` makes docs/leaderboard.md of it (leaderboard_page.py).
"""

import json
import struct
from argparse import Namespace
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json, write_csv, write_json
from stages.core.params import load_params, lookup
from stages.retrieval.vectors import benchmark_names
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

CHANCE = "chance"
VIEW = "whole_gallery"
PREDICTION = "category_prediction"
SHOWN_KS = (1, 5, 10, 20, 50)
SHOWN_TOPS = (1, 3, 5)
AVERAGES = ("map", "map_at_r")
WITH_INTERVAL = ("hit_at_1", *AVERAGES)
COUNTS = ("n_scored", "n_missed", "n_without_match")
# BatchNorm's statistics: in the weights file, but nothing that is learned by a gradient.
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def encoder_names() -> list[str]:
    """The list ``encoders`` of params.yaml.

    Raises:
        StageError: when it is not a list of names, or names an encoder like the row of chance.
    """
    names = lookup(load_params(), "encoders")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise StageError(f"params.yaml: `encoders` is {names!r}, expected a list of names.")
    if CHANCE in names:
        raise StageError(f"params.yaml: an encoder is called {CHANCE!r}, which is the leaderboard's row of chance.")
    return names


def parameter_count(weights: Path) -> int:
    """Numbers in a safetensors file less BatchNorm's statistics, from its header alone.

    Raises:
        StageError: when the file is no safetensors file.
    """
    try:
        with weights.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            if size > weights.stat().st_size:
                raise ValueError("its header is longer than the file")
            header = json.loads(stream.read(size))
        tensors = {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, struct.error, KeyError, TypeError) as error:
        raise StageError(f"{weights}: not a safetensors file: {error}. Run `dvc repro`.") from None
    return sum(prod(shape) for name, shape in tensors.items() if name.rsplit(".", 1)[-1] not in BUFFERS)


def encoder_parameters(folder: Path) -> int | None:
    """Parameters of all weights of an encoder; None when it has no weights of its own."""
    files = sorted(folder.glob("*.safetensors"))
    return sum(parameter_count(path) for path in files) if files else None


def about_encoder(folder: Path) -> dict[str, int]:
    """What tells an encoder from others in a comparison, as far as it is known.

    Returns:
        parameters; image_size: pixels of the pictures' (longer) side; kept_epoch: 0 = the weights it started from.
    """
    card = read_json(folder / "encoder.json") if (folder / "encoder.json").is_file() else {}
    found = {
        "parameters": encoder_parameters(folder),
        "image_size": card.get("image_size"),
        "kept_epoch": card.get("epoch"),
    }
    return {name: value for name, value in found.items() if value is not None}


def figures(scores: dict[str, Any]) -> dict[str, float]:
    """The leaderboard's share of what the evaluator gave: of the whole gallery's figures, and of category prediction.

    Args:
        scores: view -> figures.
    """
    ends = [f"{name}_{end}95" for name in WITH_INTERVAL for end in ("low", "high")]
    names = [*(f"hit_at_{k}" for k in SHOWN_KS), *AVERAGES, *ends, *COUNTS]
    tops = [f"top_{top}" for top in SHOWN_TOPS]
    votes = scores.get(PREDICTION, {})
    return {name: scores[VIEW][name] for name in names if name in scores[VIEW]} | {
        f"category_{name}": votes[name] for name in tops if name in votes
    }


def entry(result: dict[str, Any], about: dict[str, int]) -> dict[str, Any]:
    """The leaderboard's line of one encoder, or of external vectors, on one benchmark.

    Args:
        about: what ``about_encoder`` knows; nothing of external vectors.
    """
    line: dict[str, Any] = figures(result) | {"gallery": result["gallery"], "dimensions": result["dimensions"]} | about
    if "flip" in result:
        line["without_flip"] = figures(result["flip"]["off"])
    if "regions" in result:
        line["regions"] = {number: figures(scores) for number, scores in result["regions"].items()}
        line["recommendation"] = result["recommendation"]
    return line


def leaderboard(
    results: dict[str, dict[str, Any]], benchmarks: list[str], about: dict[str, dict[str, int]]
) -> dict[str, dict[str, Any]]:
    """Encoder -> benchmark -> line, and chance, which is the same for all encoders.

    Args:
        results: encoder -> benchmark -> what the evaluator gave.
        about: encoder -> what ``about_encoder`` knows.

    Raises:
        StageError: when an encoder was not scored on a benchmark.
    """
    for encoder, scored in results.items():
        if missing := [name for name in benchmarks if name not in scored]:
            raise StageError(f"encoder {encoder} has no figures for {', '.join(missing)}. Run `dvc repro`.")
    board = {
        encoder: {name: entry(scored[name], about[encoder]) for name in benchmarks}
        for encoder, scored in results.items()
    }
    if results:
        first = next(iter(results.values()))
        board[CHANCE] = {name: figures(first[name]["chance"]) for name in benchmarks}
    return board


def curves(results: dict[str, dict[str, Any]], benchmarks: list[str]) -> list[list[Any]]:
    """Rows (benchmark, encoder, k, hit) of every benchmark in which a query has a match; chance comes last."""
    rows: list[list[Any]] = []
    for name in benchmarks:
        lines = [(encoder, scored[name][VIEW]) for encoder, scored in results.items()]
        lines += [(CHANCE, scored[name]["chance"][VIEW]) for scored in list(results.values())[:1]]
        for encoder, scores in lines:
            ks = sorted(int(key.removeprefix("hit_at_")) for key in scores if key.removeprefix("hit_at_").isdigit())
            rows += [[name, encoder, k, scores[f"hit_at_{k}"]] for k in ks]
    return rows


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Collect, write, and say who leads."""
    encoders, benchmarks = encoder_names(), benchmark_names()
    results = {encoder: read_json(args.metrics / "retrieval" / f"{encoder}.json") for encoder in encoders}
    board = leaderboard(results, benchmarks, {name: about_encoder(args.encoders / name) for name in encoders})
    write_json(Path(f"{args.out}.json"), board)
    write_csv(Path(f"{args.out}.csv"), ["benchmark", "encoder", "k", "hit"], curves(results, benchmarks))
    numbers: dict[str, float] = {}
    for name in benchmarks:
        hits = {encoder: board[encoder][name]["hit_at_1"] for encoder in encoders if "hit_at_1" in board[encoder][name]}
        numbers |= {f"{name}.{encoder}.hit_at_1": value for encoder, value in hits.items()}
        if hits:
            best = max(hits, key=lambda encoder: hits[encoder])
            chance = board[CHANCE][name]["hit_at_1"]
            say(f"{name}: {best} leads {len(hits)} encoders, hit@1 {hits[best]:.3f} (chance {chance:.3f})")
    return Report(metrics=numbers)


STAGE = Stage(main, ["metrics", "encoders", "out"], {})
