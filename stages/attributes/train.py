"""Train the multi-head classifier on the SimCLR backbone.

Reads:  the data set and its vocabulary, models/<profile>/encoders/simclr, tables/superclasses.csv.
Writes: weights.safetensors (the epoch with the best mean validation accuracy over heads), encoder.json
        (heads, classes, shapes), history.csv, params.json.
Params: classifier.

A killed training goes on after its last whole epoch (stages/core/checkpoints.py).
"""

import argparse
import copy
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch

from stages.attributes.losses import class_weights, masked_loss
from stages.attributes.network import MultiHead
from stages.attributes.params import ClassifierParams
from stages.attributes.predict import accuracies, predict
from stages.attributes.rows import PhotoAugment, Rows, interleaved_batches, prepare
from stages.core.checkpoints import WORK, Checkpoints, random_state, restore_random_state, training_key
from stages.core.determinism import device, seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_json, write_csv, write_json
from stages.core.progress import say
from stages.core.stage import Report, run_stage
from stages.core.tables import shard_paths
from stages.encoders.backbones import Backbone
from stages.encoders.features import load_weights, save_encoder
from stages.encoders.pictures import read_crops
from stages.encoders.schedule import cosine_rate


def choose_classes(vocabulary: dict[str, list[str]], heads: list[str]) -> dict[str, list[str]]:
    """Classes of the wanted heads.

    Raises:
        StageError: when a head is not in the data, or has fewer than two classes.
    """
    for head in heads:
        if head not in vocabulary:
            raise StageError(f"classifier.heads: {head!r} is no head; the data set has {shown(vocabulary)}.")
        if len(vocabulary[head]) < 2:
            raise StageError(
                f"classifier.heads: {head!r} has {len(vocabulary[head])} classes in the training split "
                f"({shown(vocabulary[head])}); a head needs two. Take it out of classifier.heads."
            )
    return {head: vocabulary[head] for head in heads}


class Trainer:
    """One network, its optimizer and losses, and how far it has come.

    Attributes:
        history: of each finished epoch its number, loss, mean validation accuracy, and accuracy by head.
        best: the weights of the epoch with the highest mean, ``best_score``.
    """

    def __init__(self, network: MultiHead, rows: Rows, params: ClassifierParams) -> None:
        self.network, self.rows, self.params = network, rows, params
        own = [weight for name, weight in network.named_parameters() if not name.startswith("backbone.")]
        groups = [{"params": own, "lr": params.learning_rate}]
        if params.freeze_backbone:
            network.backbone.requires_grad_(False)
        else:
            groups.append({"params": list(network.backbone.parameters()), "lr": params.backbone_learning_rate})
        self.optimizer = torch.optim.Adam(groups, weight_decay=params.weight_decay)
        self.peaks = [group["lr"] for group in groups]
        self.weights = {
            head: class_weights(targets, len(network.classes[head])) if params.class_weights else None
            for head, targets in rows.targets.items()
        }
        self.augment = PhotoAugment(params.augment)
        self.order = torch.Generator().manual_seed(params.seed)
        self.history: list[list[Any]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.best_score = -1.0

    def fit(self, val: Rows, checkpoints: Checkpoints) -> None:
        """All epochs, or those that an earlier run did not finish; the network ends with the best weights."""
        self._resume(checkpoints)
        first, start, epochs = len(self.history), time.monotonic(), self.params.epochs
        for epoch in range(first, epochs):
            loss = self.epoch(epoch)
            scores = accuracies(predict(self.network, val, self.params.batch), val)
            mean = float(np.mean(list(scores.values())))
            self.history.append([epoch + 1, loss, mean, *[scores.get(head) for head in self.network.classes]])
            if mean > self.best_score:
                self.best, self.best_score = copy.deepcopy(self.network.state_dict()), mean
            checkpoints.save(self._state())
            left = (time.monotonic() - start) / (epoch + 1 - first) * (epochs - epoch - 1)
            say(f"classifier: epoch {epoch + 1}/{epochs}, loss {loss:.3f}, val mean {mean:.3f}, {left:.0f} s left")
        self.network.load_state_dict(self.best)

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": len(self.history),
            "history": self.history,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "best_score": self.best_score,
            "order": self.order.get_state(),
            "random": random_state(),
        }

    def _resume(self, checkpoints: Checkpoints) -> None:
        """Become what ``_state`` was after the last whole epoch, if there was one."""
        state = checkpoints.load()
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history, self.best, self.best_score = state["history"], state["best"], state["best_score"]
        self.order.set_state(state["order"])
        restore_random_state(state["random"])
        say(f"classifier: resumed after epoch {state['epoch']} of {self.params.epochs}")

    def epoch(self, number: int) -> float:
        """One pass over the training rows; mean loss."""
        self.network.train()
        if self.params.freeze_backbone:
            self.network.backbone.eval()  # a frozen backbone keeps its BatchNorm statistics as well
        where = next(self.network.parameters()).device
        batches = interleaved_batches(self.rows.sources, self.params.batch, self.params.interleave, self.order)
        losses = []
        for step, index in enumerate(batches):
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = cosine_rate(number * len(batches) + step, self.params.epochs * len(batches), peak)
            images = self.augment(self.rows.pictures.batch(index)).to(where)
            logits = self.network(images, self.rows.detected[index].to(where))
            loss = self._loss(logits, index)
            if loss is None:
                continue
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def _loss(self, logits: dict[str, torch.Tensor], index: torch.Tensor) -> torch.Tensor | None:
        parts = [
            masked_loss(values, self.rows.targets[head][index].to(values.device), self.weights[head],
                        self.params.focal_share, self.params.focal_gamma)
            for head, values in logits.items()
        ]  # fmt: skip
        known = [part for part in parts if part is not None]
        return torch.stack(known).mean() if known else None


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Train, keep the epoch that is best on validation."""
    options: ClassifierParams = params.classifier
    seed_everything(options.seed)
    classes = choose_classes(read_json(args.dataset / "vocabulary.json"), options.heads)
    superclasses = list(pd.read_csv(args.tables / "superclasses.csv").sort_values("id")["superclass"])
    card = read_json(args.simclr / "encoder.json")
    backbone = Backbone(card["backbone"], "none", options.pooling)
    load_weights(backbone, args.simclr)
    network = MultiHead(backbone, classes, superclasses, options).to(device())
    train, val = (
        prepare(read_crops(args.dataset, split), classes, superclasses, options) for split in ("train", "val")
    )
    trainer = Trainer(network, train, options)
    checkpoints = Checkpoints(WORK / "train_classifier", _key(args, options))
    trainer.fit(val, checkpoints)
    out = fresh_folder(args.out)
    save_encoder(network, {"kind": "classifier", "backbone": card["backbone"], "image_size": options.image_size,
                           "metric": "cosine", "classes": classes, "superclasses": superclasses,
                           "params": options.model_dump(mode="json")}, out)  # fmt: skip
    header = ["epoch", "train_loss", "val_mean_accuracy", *[f"val_{head}" for head in classes]]
    write_csv(out / "history.csv", header, trainer.history)
    write_json(out / "params.json", options.model_dump(mode="json"))
    checkpoints.clear()
    _, losses, means, *_ = zip(*trainer.history, strict=True)
    curves = {"train_loss": list(losses), "val_mean_accuracy": list(means)}
    return Report(metrics={"best_val_mean_accuracy": trainer.best_score}, curves=curves)


def _key(args: argparse.Namespace, options: ClassifierParams) -> str:
    dataset = [*shard_paths(args.dataset), args.dataset / "vocabulary.json"]
    encoder = [args.simclr / "encoder.json", args.simclr / "weights.safetensors"]
    return training_key(
        options, [*dataset, *encoder, args.tables / "superclasses.csv"], ("core", "encoders", "attributes")
    )


if __name__ == "__main__":
    run_stage(main, ["dataset", "simclr", "tables", "out"], {"classifier": ("classifier", ClassifierParams)})
