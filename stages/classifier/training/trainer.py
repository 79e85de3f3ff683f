"""How the classifier learns: network, optimizer, losses, and a state from which a killed training resumes."""

import copy
import math
import time
from typing import Any

import numpy as np
import torch

from stages.classifier.training.cached import cached_features
from stages.classifier.training.losses import UNKNOWN, as_class, class_weights, masked_sums
from stages.classifier.training.predict import accuracies, predict
from stages.classifier.training.rows import Augment, Rows, interleaved_batches
from stages.core.errors import StageError, shown
from stages.learning.acceleration import RuntimeParams, autocast
from stages.learning.checkpoints import Checkpoints, random_state, restore_random_state
from stages.learning.distributed import ALONE, Group, mean_gradients, own_draws
from stages.learning.schedule import cosine_rate
from stages.networks.classifier.network import SHARED, MultiHead
from stages.networks.classifier.params import ClassifierParams


class Trainer:
    """One network, its optimizer and losses, and how far it has come.

    Attributes:
        history: of each finished epoch its number, loss, mean validation accuracy, and accuracy by head.
        kept: the weights of the epoch to keep, with the highest mean or the last one; ``kept_epoch``, ``kept_score``.
    """

    def __init__(
        self, network: MultiHead, rows: Rows, params: ClassifierParams, runtime: RuntimeParams, group: Group = ALONE
    ) -> None:
        """Train ``network`` on ``rows``, in the precision of ``runtime``; each process of ``group`` does its part."""
        self.network, self.rows, self.params, self.runtime, self.group = network, rows, params, runtime, group
        own = [weight for name, weight in network.named_parameters() if not name.startswith("backbone.")]
        groups = [{"params": own, "lr": params.learning_rate}]
        if params.freeze_backbone:
            network.backbone.requires_grad_(False)
        else:
            groups.append({"params": list(network.backbone.parameters()), "lr": params.backbone_learning_rate})
        self.optimizer = torch.optim.Adam(groups, weight_decay=params.weight_decay)
        self.peaks = [group["lr"] for group in groups]
        # Scores always leave rows without a label out; only what is learned from them is a choice.
        self.targets = {
            head: as_class(targets, len(network.classes[head])) if params.missing_labels == "as_class" else targets
            for head, targets in rows.targets.items()
        }
        self.weights = {
            head: class_weights(targets, len(network.classes[head])) if params.class_weights else None
            for head, targets in self.targets.items()
        }
        self.augment = Augment(params.augment)
        self.average = copy.deepcopy(network).requires_grad_(False) if params.average else network
        self.order = torch.Generator().manual_seed(params.seed)
        self.history: list[list[Any]] = []
        self.kept: dict[str, torch.Tensor] = {}
        self.kept_epoch, self.kept_score = 0, -1.0

    def fit(self, val: Rows, checkpoints: Checkpoints) -> None:
        """All epochs, or those that an earlier run did not finish; the network ends with the weights to keep.

        Raises:
            StageError: fewer training rows than BatchNorm takes; no row of ``val`` has a label, and so no epoch is
                better than another; or the loss diverged.
        """
        if not any((targets != UNKNOWN).any() for targets in val.targets.values()):
            raise StageError(
                f"classifier.heads: none of the {len(val.sources)} validation crops has a label of "
                f"{shown(val.targets)}, so no epoch can be chosen. Add labelled items or change dataset.shares."
            )
        if len(self.rows.sources) < 2 * self.group.size:
            raise StageError(
                f"classifier: {len(self.rows.sources)} training crops are too few for {self.group.size} processes."
            )
        own_draws(self.params.seed, self.group)
        if self.params.cached_views:
            self._cache(val)  # before resuming, which sets the random state that follows
        self._resume(checkpoints)
        first, start, epochs = len(self.history), time.monotonic(), self.params.epochs
        for epoch in range(first, epochs):
            loss = self.epoch(epoch)
            if not math.isfinite(loss):
                raise StageError(
                    f"classifier: the loss is {loss} after epoch {epoch + 1}. Lower classifier.learning_rate or "
                    "backbone_learning_rate."
                )
            scores = self.group.from_leader(lambda: accuracies(predict(self.average, val, self.params.batch), val))
            mean = float(np.mean(list(scores.values())))
            self.history.append([epoch + 1, loss, mean, *[scores.get(head) for head in self.network.classes]])
            if mean > self.kept_score or self.params.keep == "last":
                self.kept, self.kept_epoch = copy.deepcopy(self.average.state_dict()), epoch + 1
                self.kept_score = mean
            state = self._state()
            if self.group.leader:
                checkpoints.save(state)
            left = (time.monotonic() - start) / (epoch + 1 - first) * (epochs - epoch - 1)
            self.group.say(
                f"classifier: epoch {epoch + 1}/{epochs}, loss {loss:.3f}, val mean {mean:.3f}, {left:.0f} s left"
            )
        self.network.load_state_dict(self.kept)

    def _state(self) -> dict[str, Any]:
        return {
            "epoch": len(self.history),
            "history": self.history,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "kept": self.kept,
            "kept_epoch": self.kept_epoch,
            "kept_score": self.kept_score,
            "order": self.order.get_state(),
            "random": self.group.gather(random_state()),
        }

    def _resume(self, checkpoints: Checkpoints) -> None:
        """Become what ``_state`` was after the last whole epoch, if there was one."""
        state = checkpoints.load()
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = state["history"]
        self.kept, self.kept_epoch, self.kept_score = state["kept"], state["kept_epoch"], state["kept_score"]
        self.order.set_state(state["order"])
        restore_random_state(state["random"][self.group.rank])
        self.group.say(f"classifier: resumed after epoch {state['epoch']} of {self.params.epochs}")

    def epoch(self, number: int) -> float:
        """One pass over the training rows; mean loss."""
        self.network.train()
        if self.params.freeze_backbone:
            self.network.backbone.eval()  # a frozen backbone keeps its BatchNorm statistics as well
        batches = interleaved_batches(
            self.rows.sources, self.params.batch, self.params.interleave, self.order, 2 * self.group.size
        )
        losses = []
        for step, rows in enumerate(batches):
            index = rows[self.group.part(len(rows))]
            for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
                group["lr"] = peak * self._rate(number, step, len(batches))
            with autocast(self.runtime, next(self.network.parameters()).device.type):
                logits = self._logits(index)
            loss = self._loss({head: values.float() for head, values in logits.items()}, index)
            if loss is None:
                continue
            self.optimizer.zero_grad()
            loss.backward()
            mean_gradients(self.network, self.group)
            self.optimizer.step()
            self._follow(number * len(batches) + step)
            losses.append(loss.item())
        return self.group.mean(float(np.mean(losses)))

    def _logits(self, index: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of augmented pictures, or of a random one of the views that were computed beforehand."""
        where = next(self.network.parameters()).device
        detected = self.rows.detected[index].to(where)
        if self.rows.features is None:
            # The call of the whole network is what torch.compile has compiled.
            return self.network(self.augment(self.rows.pictures.batch(index)).to(where), detected)
        view = torch.randint(len(self.rows.features), (len(index),))
        return self.network.logits_of(self.rows.features[view, index].to(where), detected)

    def _cache(self, val: Rows) -> None:
        """What a frozen backbone makes of the pictures: augmented views to learn from, plain ones to validate on."""
        backbone, batch, views = self.network.backbone, self.params.batch, self.params.cached_views
        self.rows.features = cached_features(backbone, self.rows.pictures, batch, views, self.augment, self.group)
        val.features = cached_features(backbone, val.pictures, batch, group=self.group)

    def _rate(self, epoch: int, step: int, steps: int) -> float:
        """Share of the peak learning rate: a linear rise over the warm-up, half a cosine over all steps."""
        done, rise = epoch * steps + step, self.params.warmup_epochs * steps
        return min(1.0, (done + 1) / max(rise, 1)) * cosine_rate(done, self.params.epochs * steps, 1.0)

    @torch.no_grad()
    def _follow(self, step: int) -> None:
        """Move the average towards the network, less far as more steps went into it (Polyak & Juditsky 1992)."""
        if self.average is self.network:
            return
        keep = min(self.params.average, (1 + step) / (10 + step))
        for mean, now in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - keep)
            else:
                mean.copy_(now)

    def _loss(self, logits: dict[str, torch.Tensor], index: torch.Tensor) -> torch.Tensor | None:
        """Mean over heads of the loss of the batch; None without any label.

        Of several processes each gives what its rows add to it, times their number: gradients are then averaged.
        """
        parts = [
            masked_sums(values, self.targets[head][index].to(values.device), self.weights[head],
                        self.params.focal_share, self.params.focal_gamma, self.params.label_smoothing)
            for head, values in ((name.removesuffix(SHARED), values) for name, values in logits.items())
        ]  # fmt: skip
        weights = self.group.total(torch.stack([weight for _, weight in parts]))
        known = [
            self.group.size * part / weight for (part, _), weight in zip(parts, weights, strict=True) if weight > 0
        ]
        return torch.stack(known).mean() if known else None
