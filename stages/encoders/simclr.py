"""SimCLR on the training crops (Chen et al. 2020), with lightly's projection head and NT-Xent loss.

Both views go through the network in one forward pass, so that batch norm sees them together. Colour is not
augmented. The features are judged by k-NN on the validation split before the first and after every few epochs.
A killed training goes on after its last whole epoch (stages/core/checkpoints.py).

Reads:  the data set.
Writes: weights.safetensors (backbone), encoder.json, history.csv, params.json.
Params: simclr.
"""

import argparse
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from stages.core.checkpoints import WORK, Checkpoints, random_state, restore_random_state, training_key
from stages.core.determinism import device, seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_csv, write_json
from stages.core.params import Section
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.core.tables import shard_paths
from stages.encoders.augment import GeometryParams, random_view
from stages.encoders.backbones import Backbone, Weights
from stages.encoders.features import embed_pictures, save_encoder
from stages.encoders.knn import knn_accuracy, majority_share
from stages.encoders.pictures import Pictures, read_crops
from stages.encoders.schedule import cosine_rate


class SimclrParams(Section):
    """Section ``simclr``."""

    backbone: str
    weights: Weights
    image_size: int = Field(gt=0)
    epochs: int = Field(ge=0)
    batch: int = Field(gt=1)
    temperature: float = Field(gt=0)
    projection_hidden: int = Field(gt=0)
    projection_out: int = Field(gt=0)
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0)
    geometry: GeometryParams
    knn_every: int = Field(gt=0)
    knn_k: int = Field(gt=0)
    knn_head: str
    seed: int


class KnnProbe:
    """k-NN accuracy of a backbone's features on the validation split."""

    def __init__(self, train: pd.DataFrame, val: pd.DataFrame, pictures: Pictures, params: SimclrParams) -> None:
        """Keep the rows that know the probe's label."""
        self.k, self.batch = params.knn_k, params.batch
        self.rows = np.flatnonzero(train[params.knn_head].notna())
        known = val[val[params.knn_head].notna()]
        self.labels = train[params.knn_head].to_numpy()[self.rows]
        self.val_labels = known[params.knn_head].to_numpy()
        self.pictures = pictures
        self.val_pictures = Pictures(list(known["bytes"]), params.image_size)
        self.majority = majority_share(self.labels, self.val_labels)

    def accuracy(self, backbone: Backbone) -> float:
        """Accuracy in [0, 1]."""
        train = embed_pictures(backbone, self.pictures, self.batch)[self.rows]
        val = embed_pictures(backbone, self.val_pictures, self.batch)
        return float(knn_accuracy(train, self.labels, val, self.val_labels, self.k))


def train_epoch(parts: SimpleNamespace, pictures: Pictures, params: SimclrParams, epoch: int, steps: int) -> float:
    """One pass over the pictures in random order; mean loss. The last rows that fill no batch are left out."""
    parts.backbone.train()
    order = torch.randperm(len(pictures))
    losses = []
    for step in range(steps):
        rate = cosine_rate(epoch * steps + step, params.epochs * steps, params.learning_rate)
        for group in parts.optimizer.param_groups:
            group["lr"] = rate
        images = pictures.batch(order[step * params.batch : (step + 1) * params.batch]).to(parts.device)
        views = torch.cat([random_view(images, params.geometry), random_view(images, params.geometry)])
        first, second = parts.head(parts.backbone(views)).chunk(2)
        loss = parts.loss(first, second)
        parts.optimizer.zero_grad()
        loss.backward()
        parts.optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def pretrain(
    parts: SimpleNamespace, pictures: Pictures, probe: KnnProbe, params: SimclrParams, checkpoints: Checkpoints
) -> list[list[Any]]:
    """All epochs, or those that an earlier run did not finish: rows of epoch, loss and k-NN accuracy."""
    history = _resume(parts, checkpoints, params) or [[0, None, probe.accuracy(parts.backbone)]]
    count, head = len(pictures), params.knn_head
    say(f"simclr: {count} crops, k-NN {head} before {history[0][2]:.3f}, majority {probe.majority:.3f}")
    first, start = len(history) - 1, time.monotonic()
    for epoch in range(first, params.epochs):
        loss = train_epoch(parts, pictures, params, epoch, count // params.batch)
        score = None
        if (epoch + 1) % params.knn_every == 0 or epoch + 1 == params.epochs:
            score = probe.accuracy(parts.backbone)
        history.append([epoch + 1, loss, score])
        checkpoints.save(_state(parts, history))
        left = (time.monotonic() - start) / (epoch + 1 - first) * (params.epochs - epoch - 1)
        shown = "" if score is None else f", k-NN {head} {score:.3f}"
        say(f"simclr: epoch {epoch + 1}/{params.epochs}, loss {loss:.3f}{shown}, {left:.0f} s left")
    return history


def _state(parts: SimpleNamespace, history: list[list[Any]]) -> dict[str, Any]:
    modules = {name: getattr(parts, name).state_dict() for name in ("backbone", "head", "optimizer")}
    return {**modules, "epoch": len(history) - 1, "history": history, "random": random_state()}


def _resume(parts: SimpleNamespace, checkpoints: Checkpoints, params: SimclrParams) -> list[list[Any]] | None:
    """Make ``parts`` and the generators what they were after the last whole epoch; its history, None without one."""
    state = checkpoints.load()
    if state is None:
        return None
    for name in ("backbone", "head", "optimizer"):
        getattr(parts, name).load_state_dict(state[name])
    restore_random_state(state["random"])
    say(f"simclr: resumed after epoch {state['epoch']} of {params.epochs}")
    return state["history"]


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Pre-train, probing the features on the way."""
    options: SimclrParams = params.simclr
    seed_everything(options.seed)
    train, val = read_crops(args.dataset, "train"), read_crops(args.dataset, "val")
    if len(train) < options.batch:
        raise StageError(f"simclr.batch is {options.batch} but there are {len(train)} training crops: lower it.")
    parts = _build(options)
    pictures = Pictures(list(train["bytes"]), options.image_size)
    probe = KnnProbe(train, val, pictures, options)
    checkpoints = Checkpoints(WORK / "pretrain", training_key(options, shard_paths(args.dataset), ("core", "encoders")))
    history = pretrain(parts, pictures, probe, options, checkpoints)
    out = fresh_folder(args.out)
    save_encoder(
        parts.backbone,
        {
            "kind": "simclr",
            "backbone": options.backbone,
            "image_size": options.image_size,
            "metric": "cosine",
            "knn_majority": probe.majority,
        },
        out,
    )
    write_csv(out / "history.csv", ["epoch", "loss", f"knn_{options.knn_head}"], history)
    write_json(out / "params.json", options.model_dump())
    checkpoints.clear()
    scores = [row[2] for row in history if row[2] is not None]
    return Report(
        metrics={"knn_before": scores[0], "knn_after": scores[-1], "knn_majority": probe.majority},
        curves={"loss": [row[1] for row in history[1:]], "knn": scores},
    )


def _build(params: SimclrParams) -> SimpleNamespace:
    from lightly.loss import NTXentLoss
    from lightly.models.modules.heads import SimCLRProjectionHead

    where = device()
    backbone = Backbone(params.backbone, params.weights).to(where)
    head = SimCLRProjectionHead(backbone.width, params.projection_hidden, params.projection_out).to(where)
    optimizer = torch.optim.SGD(
        [*backbone.parameters(), *head.parameters()],
        lr=params.learning_rate,
        momentum=params.momentum,
        weight_decay=params.weight_decay,
    )
    loss = NTXentLoss(temperature=params.temperature)
    return SimpleNamespace(backbone=backbone, head=head, optimizer=optimizer, loss=loss, device=where)


if __name__ == "__main__":
    run_stage(main, ["dataset", "out"], {"simclr": ("simclr", SimclrParams)})
