"""Train one encoder by its recipe, or fit a frozen one; the encoders of the published systems and modern ones.

Reads:  FOLDER, the table that the recipe learns from: the data set, or a benchmark's folder with its train.parquet. The
        test split is not read.
Writes: weights.safetensors, encoder.json, history.csv (a line for each epoch: losses of train and val, val scores),
        scores.json (before, after and chance), params.json; and of some kinds pictures, or a tokenizer.
Params: encoder.<name>, runtime; stages/networks/encoders/kinds.py names the kinds.

A killed training resumes after its last finished epoch (stages/learning/checkpoints.py). With ``runtime.processes``
above 1 a recipe that is trained restarts under torchrun: each process computes the vectors of its own rows of a batch,
and the losses of the whole batch. On CPUs batch norm normalizes over each process's own rows.
"""

import argparse
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from stages.core.determinism import seed_everything
from stages.core.files import digest, fresh_folder, write_csv, write_json
from stages.core.params import Section
from stages.encoders.examples import input_files, read_examples
from stages.encoders.recipe_task import Run
from stages.encoders.recipes import AnyRecipe, Recipe, read_recipe, recipe_module
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import WORK, Checkpoints, training_key
from stages.learning.distributed import ALONE, Group, in_group
from stages.networks.backbones.features import save_encoder
from stages.runner.stage import Report, Stage

# Packages and libraries that count in the key of a checkpoint, in addition to those that always do.
_AREAS = ("core", "learning", "networks", "encoders")
_LIBRARIES = ("pytorch-metric-learning", "scikit-learn")


def checkpoint_key(recipe: Section, inputs: Sequence[Path]) -> str:
    """The key of a checkpoint, which includes the libraries that only these trainings use."""
    return digest(training_key(recipe, inputs, _AREAS), *[f"{name} {version(name)}" for name in _LIBRARIES])[:16]


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Train in ``runtime.processes`` processes; recipes that are only fitted use one."""
    recipe = read_recipe(args.encoder, {"encoder": {args.encoder: params.recipe.model_dump()}})
    if not hasattr(recipe, "schedule"):
        return _run(args, recipe, params.runtime, ALONE)
    return in_group(params.runtime, lambda group: _run(args, recipe, params.runtime, group))


def _run(args: argparse.Namespace, recipe: Recipe, runtime: RuntimeParams, group: Group) -> Report:
    """Read the examples and fit; the leader writes."""
    module = recipe_module(recipe.kind, f"encoder.{args.encoder}")
    seed_everything(recipe.seed)
    train, val = read_examples(recipe.learns_from, args.folder)
    group.log(f"{args.encoder}: {len(train)} training and {len(val)} validation pictures of {recipe.learns_from.table}")
    inputs = input_files(recipe.learns_from, args.folder)
    checkpoints = Checkpoints(WORK / "train_encoder" / args.encoder, group.key(checkpoint_key(recipe, inputs)))
    fitted = module.fit(recipe, train, val, Run(args.encoder, checkpoints, runtime, group))
    if not group.leader:
        return Report()
    out = fresh_folder(args.out)
    save_encoder(fitted.network, fitted.card, out)
    for name, data in fitted.files.items():
        (out / name).write_bytes(data)
    write_csv(out / "history.csv", fitted.header, fitted.history)
    write_json(out / "scores.json", fitted.scores)
    write_json(out / "params.json", recipe.model_dump(mode="json"))
    pictures = fitted.draw(out) if fitted.draw else []
    checkpoints.clear()
    columns = zip(fitted.header, zip(*fitted.history, strict=True), strict=True)
    curves = {name: [value for value in column if value is not None] for name, column in columns if name != "epoch"}
    return Report(metrics=fitted.scores, curves={k: v for k, v in curves.items() if v}, pictures=pictures)


STAGE = Stage(
    main,
    ["encoder", "folder", "out"],
    {"recipe": ("encoder.{encoder}", AnyRecipe), "runtime": ("runtime", RuntimeParams)},
)
