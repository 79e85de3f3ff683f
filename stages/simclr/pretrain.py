"""SimCLR on the training crops (Chen et al. 2020), with lightly's projection head and losses.

Both views go through the network in one forward pass, so that batch norm sees them together. The features are scored
by k-NN on the validation split before the first epoch and after every ``knn_every`` epochs; ``keep: best`` keeps the
best epoch (of equals the last one), epoch 0 included unless it has random weights. A killed training resumes after its
last finished epoch (stages/learning/checkpoints.py). With ``runtime.processes`` above 1 the stage restarts itself under
torchrun; `torchrun --nproc-per-node=N -m stages.simclr.pretrain DATASET OUT LAST` does the same by hand.

Reads:  the data set.
Writes: OUT/: weights.safetensors (backbone), encoder.json, history.csv, params.json; LAST/: the first two of the last
        epoch, even if another one is kept, so that the effect of SimCLR itself can be compared with the start.
Params: simclr, runtime.
"""

import argparse
from types import SimpleNamespace
from typing import Any, Literal

import torch
from torch.optim.lr_scheduler import LambdaLR

from stages.contracts.tables import shard_paths
from stages.core.determinism import seed_everything
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_csv, write_json
from stages.learning.acceleration import RuntimeParams, autocast
from stages.learning.augment import Draws, random_view
from stages.learning.checkpoints import WORK, Checkpoints, training_key
from stages.learning.distributed import Group, in_group, launched
from stages.learning.loop import Losses, Row, cosine, fit
from stages.networks.backbones.features import Pictures, read_crops, save_encoder
from stages.runner.stage import Report, Stage
from stages.simclr.model import KnnValidation, SimclrModel, SimclrParams, build


class SimclrTask:
    """SimCLR as a task of the loop: batches of two views of each picture, validated by k-NN."""

    name, rates = "simclr", "simclr.learning_rate"
    schedule_by: Literal["batch"] = "batch"
    averaged = None  # DistributedDataParallel averages while it computes

    def __init__(
        self, model: SimclrModel, pictures: Pictures, params: SimclrParams, validation: KnnValidation | None = None
    ) -> None:
        """Train ``model``; without ``validation`` no epoch is scored."""
        self.model, self.pictures, self.params, self.validation = model, pictures, params, validation
        self.kept = model.backbone
        self.steps = len(pictures) // params.batch
        self.optimizer = model.optimizer
        self.schedule = LambdaLR(self.optimizer, cosine(params.epochs * self.steps))
        self.own_rows = model.group.own_rows(params.batch)
        self.draws = Draws(params.batch, self.own_rows, model.device)

    def train(self) -> None:
        """Training mode."""
        self.model.network.train()

    def batches(self, epoch: int) -> list[torch.Tensor]:
        """The pictures in random order; an incomplete last batch is left out."""
        return list(torch.randperm(len(self.pictures))[: self.steps * self.params.batch].split(self.params.batch))

    def losses(self, rows: torch.Tensor) -> Losses:
        """The contrastive loss of two views of each picture."""
        model = self.model
        images = self.pictures.batch(rows[self.own_rows]).to(model.device)
        views = torch.cat([random_view(images, self.params.geometry, self.params.color, self.draws) for _ in range(2)])
        with autocast(model.runtime, model.device):
            projections = model.network(views)
        first, second = projections.float().chunk(2)
        return {"loss": model.loss(first, second)}

    def stepped(self) -> None:
        """Nothing to do."""

    def weight(self, rows: torch.Tensor) -> float:
        """All batches have the same size."""
        return 1.0

    def validate(self, epoch: int) -> Row:
        """k-NN accuracy of the start, of every ``knn_every``-th epoch, and of the last."""
        due = epoch % self.params.knn_every == 0 or epoch == self.params.epochs
        return {"knn": self.validation.accuracy(self.model.backbone)} if due and self.validation else {}

    def score(self, row: Row) -> float | None:
        """The accuracy. A random start is never kept, however good it is on a tiny split."""
        return None if row["epoch"] == 0 and self.params.weights == "none" else row.get("knn")

    def warn(self, row: Row) -> None:
        """Nothing to warn of."""

    def state(self) -> dict[str, Any]:
        """Backbone and head."""
        return {"backbone": self.model.backbone.state_dict(), "head": self.model.head.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore ``state``."""
        self.model.backbone.load_state_dict(state["backbone"])
        self.model.head.load_state_dict(state["head"])


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Pre-train in ``runtime.processes`` processes."""
    options, runtime = params.simclr, params.runtime
    if not launched():  # torchrun started by hand chooses the number of processes itself
        check_batch(options.batch, runtime.processes)
    return in_group(runtime, lambda group: _run(args, options, runtime, group))


def check_batch(batch: int, processes: int) -> None:
    """Refuse a batch that does not divide evenly: pairs in all processes need the same number of negatives."""
    if batch % processes:
        raise StageError(
            f"simclr.batch is {batch}, which {processes} processes cannot share evenly: choose a multiple."
        )


def _run(args: argparse.Namespace, options: SimclrParams, runtime: RuntimeParams, group: Group) -> Report:
    check_batch(options.batch, group.size)
    seed_everything(options.seed)
    train, val = read_crops(args.dataset, "train"), read_crops(args.dataset, "val")
    if len(train) < options.batch:
        raise StageError(f"simclr.batch is {options.batch} but there are {len(train)} training crops: lower it.")
    built = build(options, runtime, group)
    pictures = Pictures(list(train["bytes"]), options.image_size)
    validation = KnnValidation(train, val, pictures, options)
    key = training_key(options, shard_paths(args.dataset), ("core", "learning", "networks", "simclr"))
    checkpoints = Checkpoints(WORK / "pretrain", group.key(key))
    group.log(f"simclr: {len(train)} crops, majority {validation.majority:.3f} of {options.knn_head}")
    task = SimclrTask(built, pictures, options, validation)
    trained = fit(task, options.epochs, checkpoints, group, keep=options.keep)
    if not group.leader:
        return Report()
    last = int(trained.history[-1]["epoch"] or 0)
    card = {
        "kind": "simclr",
        "backbone": options.backbone,
        "image_size": options.image_size,
        "metric": "cosine",
        "epoch": last,
        "knn_majority": validation.majority,
    }
    save_encoder(built.backbone, card, fresh_folder(args.last))
    if options.keep == "best":
        built.backbone.load_state_dict(trained.weights)
        group.log(f"simclr: kept the features of epoch {trained.epoch}, the best on validation")
    out = fresh_folder(args.out)
    save_encoder(built.backbone, card | {"epoch": trained.epoch}, out)
    history = [[row["epoch"], row.get("train_loss"), row.get("knn")] for row in trained.history]
    write_csv(out / "history.csv", ["epoch", "loss", f"knn_{options.knn_head}"], history)
    write_json(out / "params.json", options.model_dump())
    checkpoints.clear()
    scores = [score for *_, score in history if score is not None]
    return Report(
        metrics={"knn_before": scores[0], "knn_after": trained.row["knn"], "knn_majority": validation.majority},
        curves={"loss": [loss for _, loss, _ in history[1:]], "knn": scores},
    )


STAGE = Stage(
    main, ["dataset", "out", "last"], {"simclr": ("simclr", SimclrParams), "runtime": ("runtime", RuntimeParams)}
)
