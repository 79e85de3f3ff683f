"""The classifier as a task of the training loop (stages/learning/loop.py): network, optimizer, losses.

Features of a frozen backbone are computed once, so that the heads train in seconds instead of minutes.
"""

from typing import Any, Literal

import numpy as np
import torch
from torch.optim.lr_scheduler import LambdaLR

from stages.classifier.training.batches import (
    UNKNOWN,
    Augment,
    Samples,
    accuracies,
    as_class,
    class_weights,
    interleaved_batches,
    masked_sums,
    predict,
)
from stages.core.errors import StageError, shown
from stages.core.fast_imports import import_timm, spare_compiler
from stages.learning import loop
from stages.learning.acceleration import RuntimeParams, autocast
from stages.learning.checkpoints import Checkpoints
from stages.learning.distributed import ALONE, Group, own_draws
from stages.learning.loop import Losses, Row, Trained, constant, cosine
from stages.networks.backbones.backbones import Backbone, ExtendedBackbone
from stages.networks.backbones.features import Pictures, in_passes
from stages.networks.backbones.folded import folded
from stages.networks.classifier import SHARED, ClassifierParams, MultiHead, encode_detected
from stages.runner.progress import track


@torch.no_grad()
def cached_features(
    backbone: Backbone | ExtendedBackbone,
    pictures: Pictures,
    batch: int,
    views: int = 1,
    augment: Augment | None = None,
    group: Group = ALONE,
) -> torch.Tensor:
    """float32 [views, n, width] of all pictures, in evaluation mode, on the CPU; the backbone's mode is restored.

    Args:
        views: number of views of each picture; they differ only by ``augment``.
        augment: draws the views; None: the pictures themselves.
        group: processes that share the work; all get the whole result.
    """
    was_training = backbone.training
    network = folded(backbone.eval(), pictures.pixels.height, pictures.pixels.width)
    where = next(backbone.parameters()).device
    features = torch.zeros(views, len(pictures), backbone.width)
    starts = [(view, start) for view in range(views) for start in range(0, len(pictures), batch)]
    own = starts[group.rank :: group.size]
    for view, start in track(own, total=len(own), desc="features of the frozen backbone") if group.leader else own:
        rows = range(start, min(start + batch, len(pictures)))
        images = augment(pictures, rows) if augment else pictures.batch(rows)
        features[view, start : start + len(images)] = in_passes(network, images.to(where)).float().cpu()
    backbone.train(was_training)
    for view_features in features if group.size > 1 else ():  # one view at a time, to save memory
        view_features.copy_(group.total(view_features))
    return features


class Trainer:
    """One network, its optimizer and losses: the classifier as a task of the loop."""

    name = "classifier"
    rates = "classifier.learning_rate or classifier.backbone_learning_rate"
    schedule_by: Literal["batch"] = "batch"

    def __init__(
        self, network: MultiHead, rows: Samples, params: ClassifierParams, runtime: RuntimeParams, group: Group = ALONE
    ) -> None:
        """Train ``network`` on ``rows``, in the precision of ``runtime`` and the processes of ``group``."""
        self.network, self.rows, self.params, self.runtime, self.group = network, rows, params, runtime, group
        own = [weight for name, weight in network.named_parameters() if not name.startswith("backbone.")]
        groups = [{"params": own, "lr": params.learning_rate}]
        if params.freeze_backbone:
            network.backbone.requires_grad_(False)
        else:
            groups.append({"params": list(network.backbone.parameters()), "lr": params.backbone_learning_rate})
        spare_compiler()
        self.optimizer = torch.optim.Adam(groups, weight_decay=params.weight_decay)
        # Scores always ignore rows without a label; ``missing_labels`` only changes the loss.
        self.targets = {
            head: as_class(targets, len(network.classes[head])) if params.missing_labels == "as_class" else targets
            for head, targets in rows.targets.items()
        }
        self.weights = {
            head: class_weights(targets, len(network.classes[head])) if params.class_weights else None
            for head, targets in self.targets.items()
        }
        self.augment = Augment(params.augment)
        self.nothing_detected = encode_detected(network.kind, [""], network.superclasses)
        self.average = import_timm().utils.ModelEmaV3(network) if params.average else None
        self.averaged = network  # the loop averages its gradients over processes
        self.kept = self.average.module if self.average else network
        self.order = torch.Generator().manual_seed(params.seed)
        steps = len(self._batches(torch.Generator()))
        rise = params.warmup_epochs * steps
        rate = constant(rise) if params.schedule == "constant" else cosine(params.epochs * steps, rise)
        self.schedule = LambdaLR(self.optimizer, rate)

    def fit(self, val: Samples, checkpoints: Checkpoints) -> Trained:
        """Train all epochs, or those that an earlier run did not finish; the network ends with the kept weights.

        Raises:
            StageError: fewer training rows than BatchNorm needs; no row of ``val`` has a label, so that no epoch is
                best; or the loss diverged.
        """
        if not any((targets != UNKNOWN).any() for targets in val.targets.values()):
            raise StageError(
                f"classifier.heads: none of the {len(val.sources)} validation crops has a label of "
                f"{shown(val.targets)}, so no epoch can be chosen. Add labeled items or change dataset.shares."
            )
        if len(self.rows.sources) < 2 * self.group.size:
            raise StageError(
                f"classifier: {len(self.rows.sources)} training crops, expected {2 * self.group.size} or more: batch "
                f"norm takes two for each of {self.group.size} processes. Add items with pictures, raise the training "
                "split's part in dataset.shares, or lower runtime.processes."
            )
        own_draws(self.params.seed, self.group)
        if self.params.cached_views:
            self._cache(val)  # before resuming, which restores the random state
        self.val = val
        params = self.params
        trained = loop.fit(self, params.epochs, checkpoints, self.group, keep=params.keep, of_equals="first")
        self.network.load_state_dict(trained.weights)
        return trained

    def train(self) -> None:
        """Training mode, except for a frozen backbone, which keeps its BatchNorm statistics as well."""
        self.network.train()
        if self.params.freeze_backbone:
            self.network.backbone.eval()

    def batches(self, epoch: int) -> list[torch.Tensor]:
        """Rows of every batch of an epoch."""
        return self._batches(self.order)

    def _batches(self, order: torch.Generator) -> list[torch.Tensor]:
        least = 2 * self.group.size
        return interleaved_batches(self.rows.sources, self.params.batch, self.params.interleave, order, least)

    def losses(self, rows: torch.Tensor) -> Losses | None:
        """The loss of this process's rows of a batch; None where no row of the batch has a label."""
        index = rows[self.group.own_rows(len(rows))]
        with autocast(self.runtime, next(self.network.parameters()).device.type):
            logits = self._logits(index)
        loss = self._loss({head: values.float() for head, values in logits.items()}, index)
        return None if loss is None else {"loss": loss}

    def stepped(self) -> None:
        """Move the average toward the network, by smaller steps as training goes on (Polyak & Juditsky 1992)."""
        if self.average:
            step = self.schedule.last_epoch  # batches so far
            self.average.decay = min(self.params.average, (1 + step) / (10 + step))
            self.average.update(self.network)

    def weight(self, rows: torch.Tensor) -> float:
        """All batches count alike."""
        return 1.0

    def validate(self, epoch: int) -> Row:
        """Accuracy of every head, and their mean; the untrained network is not scored."""
        if epoch == 0:
            return {}
        scores = accuracies(predict(self.kept, self.val, self.params.batch), self.val)
        mean = float(np.mean(list(scores.values())))
        return {"val_mean_accuracy": mean} | {f"val_{head}": scores.get(head) for head in self.network.classes}

    def score(self, row: Row) -> float | None:
        """The mean accuracy."""
        return row["val_mean_accuracy"]

    def warn(self, row: Row) -> None:
        """Nothing to warn of."""

    def state(self) -> dict[str, Any]:
        """Network, average, and the generator that orders the rows."""
        average = {"average": self.average.module.state_dict()} if self.average else {}
        return {"network": self.network.state_dict(), "order": self.order.get_state(), **average}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore ``state``."""
        self.network.load_state_dict(state["network"])
        self.order.set_state(state["order"])
        if self.average:
            self.average.module.load_state_dict(state["average"])

    def _logits(self, index: torch.Tensor) -> dict[str, torch.Tensor]:
        """Logits for one batch: from augmented pictures, or from one cached view of each picked at random."""
        where = next(self.network.parameters()).device
        detected = self._detected(index).to(where)
        if self.rows.features is None:
            # torch.compile has compiled the call of the whole network.
            return self.network(self.augment(self.rows.pictures, index.tolist()).to(where), detected)
        view = torch.randint(len(self.rows.features), (len(index),))
        return self.network.logits_of(self.rows.features[view, index].to(where), detected)

    def _detected(self, index: torch.Tensor) -> torch.Tensor:
        """Encoded classes of rows; a random share ``class_missing`` of them is replaced by "no detection"."""
        detected = self.rows.detected[index]
        if not self.params.class_missing:
            return detected
        missing = torch.rand(len(index), 1) < self.params.class_missing
        return torch.where(missing, self.nothing_detected, detected)

    def _cache(self, val: Samples) -> None:
        """Cache a frozen backbone's features: of augmented views for training, of plain pictures for validation."""
        backbone, batch, views = self.network.backbone, self.params.batch, self.params.cached_views
        self.rows.features = cached_features(backbone, self.rows.pictures, batch, views, self.augment, self.group)
        val.features = cached_features(backbone, val.pictures, batch, group=self.group)

    def _loss(self, logits: dict[str, torch.Tensor], index: torch.Tensor) -> torch.Tensor | None:
        """The loss of the batch, averaged over heads; None without any label.

        With several processes, each one returns the share of its rows times the number of processes, because gradients
        are averaged afterwards.
        """
        sums = [
            masked_sums(values, self.targets[head][index].to(values.device), self.weights[head],
                        self.params.focal_share, self.params.focal_gamma, self.params.label_smoothing)
            for head, values in ((name.removesuffix(SHARED), values) for name, values in logits.items())
        ]  # fmt: skip
        weights = self.group.total(torch.stack([weight for _, weight in sums]))
        known = [
            self.group.size * weighted_sum / weight
            for (weighted_sum, _), weight in zip(sums, weights, strict=True)
            if weight > 0
        ]
        return torch.stack(known).mean() if known else None
