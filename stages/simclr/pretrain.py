"""SimCLR on the training crops (Chen et al. 2020), with lightly's projection head and losses.

Both views go through the network in one forward pass, so that batch norm sees them together. The features are judged
by k-NN on the validation split before the first and after every few epochs; ``keep: best`` keeps the best of them, the
start included where it knows something (ties go to the later epoch). A killed training goes on after its last whole
epoch (stages/learning/checkpoints.py). With ``runtime.processes`` above 1 the stage starts itself anew under torchrun;
`torchrun --nproc-per-node=N -m stages.simclr.pretrain DATASET OUT LAST` does the same by hand.

Reads:  the data set.
Writes: OUT/: weights.safetensors (backbone), encoder.json, history.csv, params.json; LAST/: the first two of the last
        epoch, whichever was kept, so that what SimCLR itself made of the features can be judged beside the start.
Params: simclr, runtime.
"""

import argparse
import math
import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from stages.contracts.tables import shard_paths
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_csv, write_json
from stages.learning.acceleration import RuntimeParams, autocast
from stages.learning.augment import Draws, random_view
from stages.learning.checkpoints import WORK, Checkpoints, random_state, restore_random_state, training_key
from stages.learning.distributed import Group, in_group, launched
from stages.learning.schedule import cosine_rate
from stages.networks.backbones.features import save_encoder
from stages.networks.backbones.pictures import Pictures, read_crops
from stages.runner.stage import Report, Stage
from stages.simclr.model import Parts, SimclrParams, build
from stages.simclr.validation import KnnProbe

_MODULES = ("backbone", "head", "optimizer")


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        history: of the start and each finished epoch its number, mean loss and k-NN accuracy; None = not measured.
        best: epoch, score and weights of the best features so far; None when the last are kept, or none count yet.
    """

    history: list[list[Any]]
    best: dict[str, Any] | None = None

    def add(self, row: list[Any], parts: Parts, counts: bool) -> None:
        """Take an epoch in; ``counts`` says whether its features may be kept."""
        epoch, _, score = row
        self.history.append(row)
        if counts and score is not None and (self.best is None or score >= self.best["score"]):
            weights = {name: value.detach().cpu().clone() for name, value in parts.backbone.state_dict().items()}
            self.best = {"epoch": epoch, "score": score, "weights": weights}


def train_epoch(parts: Parts, pictures: Pictures, params: SimclrParams, epoch: int, steps: int) -> float:
    """One pass over the pictures in random order; mean loss. The last rows that fill no batch are left out."""
    parts.network.train()
    order = torch.randperm(len(pictures))
    part = parts.group.part(params.batch)
    draws = Draws(params.batch, part, parts.device)
    losses = []
    for step in range(steps):
        rate = cosine_rate(epoch * steps + step, params.epochs * steps, params.learning_rate)
        for group in parts.optimizer.param_groups:
            group["lr"] = rate
        rows = order[step * params.batch : (step + 1) * params.batch][part]
        images = pictures.batch(rows).to(parts.device)
        views = torch.cat([random_view(images, params.geometry, params.color, draws) for _ in range(2)])
        with autocast(parts.runtime, parts.device):
            projections = parts.network(views)
        first, second = projections.float().chunk(2)
        loss = parts.loss(first, second)
        parts.optimizer.zero_grad()
        loss.backward()
        parts.optimizer.step()
        losses.append(loss.detach())
    return parts.group.mean(float(np.mean([loss.item() for loss in losses])))


def pretrain(
    parts: Parts, pictures: Pictures, probe: KnnProbe, params: SimclrParams, checkpoints: Checkpoints
) -> Progress:
    """All epochs, or those that an earlier run did not finish; the backbone ends with the last one's features.

    Raises:
        StageError: when the loss diverged.
    """
    group, best = parts.group, params.keep == "best"
    progress = _resume(parts, checkpoints, params)
    if progress is None:
        progress = Progress([])
        score = group.from_leader(lambda: probe.accuracy(parts.backbone))
        progress.add([0, None, score], parts, best and params.weights != "none")
    history, count, head = progress.history, len(pictures), params.knn_head
    group.say(f"simclr: {count} crops, k-NN {head} before {history[0][2]:.3f}, majority {probe.majority:.3f}")
    first, start = len(history) - 1, time.monotonic()
    for epoch in range(first, params.epochs):
        loss = train_epoch(parts, pictures, params, epoch, count // params.batch)
        if not math.isfinite(loss):
            raise StageError(f"simclr: the loss is {loss} after epoch {epoch + 1}. Lower simclr.learning_rate.")
        score = None
        if (epoch + 1) % params.knn_every == 0 or epoch + 1 == params.epochs:
            score = group.from_leader(lambda: probe.accuracy(parts.backbone))
        progress.add([epoch + 1, loss, score], parts, best)
        if group.leader:
            checkpoints.save(_state(parts, progress))
        left = (time.monotonic() - start) / (epoch + 1 - first) * (params.epochs - epoch - 1)
        shown = "" if score is None else f", k-NN {head} {score:.3f}"
        group.say(f"simclr: epoch {epoch + 1}/{params.epochs}, loss {loss:.3f}{shown}, {left:.0f} s left")
    return progress


def _state(parts: Parts, progress: Progress) -> dict[str, Any]:
    modules = {name: getattr(parts, name).state_dict() for name in _MODULES}
    done = {"epoch": len(progress.history) - 1, "history": progress.history, "best": progress.best}
    return {**modules, **done, "random": random_state()}


def _resume(parts: Parts, checkpoints: Checkpoints, params: SimclrParams) -> Progress | None:
    """Make ``parts`` and the generators what they were after the last whole epoch; None without one."""
    state = checkpoints.load()
    if state is None:
        return None
    for name in _MODULES:
        getattr(parts, name).load_state_dict(state[name])
    restore_random_state(state["random"])
    parts.group.say(f"simclr: resumed after epoch {state['epoch']} of {params.epochs}")
    return Progress(state["history"], state["best"])


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Pre-train, in as many processes as asked for."""
    options, runtime = params.simclr, params.runtime
    if not launched():  # by hand, with a number of processes that no param tells
        check_batch(options.batch, runtime.processes)
    return in_group(runtime, lambda group: _run(args, options, runtime, group))


def check_batch(batch: int, processes: int) -> None:
    """Refuse a batch of which the processes would hold unequal parts: each pair meets the same number of negatives."""
    if batch % processes:
        raise StageError(f"simclr.batch is {batch}, which {processes} processes cannot share out: choose a multiple.")


def _run(args: argparse.Namespace, options: SimclrParams, runtime: RuntimeParams, group: Group) -> Report:
    check_batch(options.batch, group.size)
    seed_everything(options.seed)
    train, val = read_crops(args.dataset, "train"), read_crops(args.dataset, "val")
    if len(train) < options.batch:
        raise StageError(f"simclr.batch is {options.batch} but there are {len(train)} training crops: lower it.")
    parts = build(options, runtime, group)
    pictures = Pictures(list(train["bytes"]), options.image_size)
    probe = KnnProbe(train, val, pictures, options)
    key = training_key(options, shard_paths(args.dataset), ("core", "learning", "networks", "simclr"))
    checkpoints = Checkpoints(WORK / "pretrain", group.key(key))
    progress = pretrain(parts, pictures, probe, options, checkpoints)
    if not group.leader:
        return Report()
    history = progress.history
    last = history[-1][0]
    kept = progress.best["epoch"] if progress.best else last
    card = {
        "kind": "simclr",
        "backbone": options.backbone,
        "image_size": options.image_size,
        "metric": "cosine",
        "epoch": last,
        "knn_majority": probe.majority,
    }
    save_encoder(parts.backbone, card, fresh_folder(args.last))
    if progress.best:
        parts.backbone.load_state_dict(progress.best["weights"])
        group.say(f"simclr: kept the features of epoch {kept}, the best on validation")
    out = fresh_folder(args.out)
    save_encoder(parts.backbone, card | {"epoch": kept}, out)
    write_csv(out / "history.csv", ["epoch", "loss", f"knn_{options.knn_head}"], history)
    write_json(out / "params.json", options.model_dump())
    checkpoints.clear()
    scores = [row[2] for row in history if row[2] is not None]
    return Report(
        metrics={"knn_before": scores[0], "knn_after": history[kept][2], "knn_majority": probe.majority},
        curves={"loss": [row[1] for row in history[1:]], "knn": scores},
    )


STAGE = Stage(
    main, ["dataset", "out", "last"], {"simclr": ("simclr", SimclrParams), "runtime": ("runtime", RuntimeParams)}
)
