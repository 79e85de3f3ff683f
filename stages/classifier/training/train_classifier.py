"""Train the multi-head classifier on the SimCLR backbone.

Reads:  the data set and its vocabulary, models/<profile>/encoders/simclr, tables/superclasses.csv.
Writes: weights.safetensors (of the epoch with the best mean validation accuracy, or of the last one; see ``keep``),
        encoder.json (heads, classes, shapes, temperatures that calibrate the heads' confidences on validation),
        history.csv, params.json.
Params: classifier, runtime.

A killed training resumes after its last finished epoch (stages/learning/checkpoints.py). With ``runtime.processes``
above 1 the stage restarts itself under torchrun.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from stages.classifier.training.batches import UNKNOWN_CLASS, Samples, predict, prepare
from stages.classifier.training.calibration import temperatures
from stages.classifier.training.trainer import Trainer
from stages.contracts.tables import shard_paths
from stages.core.determinism import device, seed_everything
from stages.core.errors import StageError, shown
from stages.core.files import fresh_folder, read_csv, read_json, write_csv, write_json
from stages.core.params import Section
from stages.learning.acceleration import RuntimeParams, prepare_model
from stages.learning.checkpoints import WORK, Checkpoints, training_key
from stages.learning.distributed import ALONE, Group, in_group, synchronized
from stages.learning.loop import Trained
from stages.networks.backbones.backbones import Backbone, Pooling, with_extra_backbones
from stages.networks.backbones.features import load_weights, read_crops, save_encoder
from stages.networks.classifier import TYPE, ClassifierParams, MissingLabels, MultiHead
from stages.runner.stage import Report, Stage


def choose_classes(
    vocabulary: dict[str, list[str]], heads: list[str], missing_labels: MissingLabels = "masked"
) -> dict[str, list[str]]:
    """Classes of the wanted heads; with ``as_class`` each list ends with ``UNKNOWN_CLASS``.

    Raises:
        StageError: the data has no such head, or a head has fewer than two classes.
    """
    for head in heads:
        if head not in vocabulary:
            raise StageError(f"classifier.heads: {head!r} is no head; the data set has {shown(vocabulary)}.")
        if len(vocabulary[head]) < 2:
            raise StageError(
                f"classifier.heads: {head!r} has {len(vocabulary[head])} classes in the training split "
                f"({shown(vocabulary[head])}); a head needs two. Take it out of classifier.heads."
            )
    extra = [UNKNOWN_CLASS] if missing_labels == "as_class" else []
    return {head: vocabulary[head] + extra for head in heads}


def pretrained(simclr: Path, pooling: Pooling) -> Backbone:
    """The backbone that the SimCLR stage wrote into ``simclr``.

    Raises:
        StageError: its card or weights are missing or do not fit each other.
    """
    backbone = Backbone(read_json(simclr / "encoder.json")["backbone"], "none", pooling)
    load_weights(backbone, simclr)
    return backbone


def build(
    args: argparse.Namespace,
    backbone: Backbone,
    options: ClassifierParams,
    runtime: RuntimeParams,
    group: Group = ALONE,
) -> MultiHead:
    """The network with heads for the labels of ``args.dataset``, on its device, ready for ``runtime`` and ``group``.

    Raises:
        StageError: as ``choose_classes``, or there are no weights for a network of ``options.extra_backbones``.
    """
    extended = with_extra_backbones(backbone, options.extra_backbones, "packaged")
    classes = choose_classes(read_json(args.dataset / "vocabulary.json"), options.heads, options.missing_labels)
    rows = [row for _, row in read_csv(args.tables / "superclasses.csv", ["superclass", "id"])]
    superclasses = [row["superclass"] for row in sorted(rows, key=lambda row: int(row["id"]))]
    network = MultiHead(extended, classes, superclasses, options).to(device())
    return prepare_model(synchronized(network, group), runtime)


def fit(
    network: MultiHead,
    frames: Sequence[pd.DataFrame],
    options: ClassifierParams,
    runtime: RuntimeParams,
    checkpoints: Checkpoints,
    group: Group,
) -> tuple[Trained, Samples]:
    """Train the network on the first of two splits; it ends with the weights of the kept epoch, by the second split.

    Returns:
        what was trained, and the second split as the network's input.
    """
    train, val = (prepare(frame, network.classes, network.superclasses, options) for frame in frames)
    return Trainer(network, train, options, runtime, group).fit(val, checkpoints), val


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Train in ``runtime.processes`` processes, keep the epoch that is best on validation."""
    options, runtime = params.classifier, params.runtime
    check_batch(options.batch, runtime.processes, "classifier.batch")
    return in_group(runtime, lambda group: _run(args, options, runtime, group))


def check_batch(batch: int, processes: int, key: str) -> None:
    """Refuse a batch in which a process would have fewer than the two rows that BatchNorm needs."""
    if batch < 2 * processes:
        raise StageError(
            f"{key} is {batch}, too few for {processes} processes: each needs two rows. Raise it, or lower "
            "runtime.processes."
        )


def superclasses_of_types(rows: pd.DataFrame) -> dict[str, str]:
    """Type -> the superclass that most of its rows have; the first in the alphabet of equally frequent ones."""
    counts = rows.groupby([TYPE, "superclass"]).size().reset_index(name="rows")
    ordered = counts.sort_values(["rows", "superclass"], ascending=[False, True]).drop_duplicates(TYPE)
    return dict(sorted(zip(ordered[TYPE], ordered["superclass"], strict=True)))


def _run(args: argparse.Namespace, options: ClassifierParams, runtime: RuntimeParams, group: Group) -> Report:
    seed_everything(options.seed)
    network = build(args, pretrained(args.simclr, options.pooling), options, runtime, group)
    frames = [read_crops(args.dataset, split) for split in ("train", "val")]
    checkpoints = Checkpoints(WORK / "train_classifier", group.key(checkpoint_key(args, options)))
    trained, val = fit(network, frames, options, runtime, checkpoints, group)
    if not group.leader:
        return Report()
    out = fresh_folder(args.out)
    card = {
        "kind": "classifier", "backbone": network.backbone.name, "image_size": options.image_size, "metric": "cosine",
        "epoch": trained.epoch, "classes": network.classes, "superclasses": network.superclasses,
        "superclass_of": superclasses_of_types(pd.concat(frames)) if TYPE in network.classes else {},
        "params": options.model_dump(mode="json"),
        "temperatures": temperatures(predict(network, val, options.batch), val.targets),
    }  # fmt: skip
    save_encoder(network, card, out)
    header = ["epoch", "train_loss", "val_mean_accuracy", *[f"val_{head}" for head in network.classes]]
    write_csv(out / "history.csv", header, [[row[name] for name in header] for row in trained.history])
    write_json(out / "params.json", options.model_dump(mode="json"))
    checkpoints.clear()
    curves = {name: [row[name] for row in trained.history] for name in header[1:3]}
    return Report(metrics={"kept_val_mean_accuracy": trained.row["val_mean_accuracy"]}, curves=curves)


def checkpoint_key(args: argparse.Namespace, params: Section) -> str:
    """The key of checkpoints of a training with ``params`` on the stage's inputs."""
    dataset = [*shard_paths(args.dataset), args.dataset / "vocabulary.json"]
    encoder = [args.simclr / "encoder.json", args.simclr / "weights.safetensors"]
    return training_key(
        params,
        [*dataset, *encoder, args.tables / "superclasses.csv"],
        ("core", "learning", "networks", "classifier/training"),
    )


STAGE = Stage(
    main,
    ["dataset", "simclr", "tables", "out"],
    {"classifier": ("classifier", ClassifierParams), "runtime": ("runtime", RuntimeParams)},
)
