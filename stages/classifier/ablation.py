"""Train one variant of the classifier for the ablation table, and score it on the validation split.

A variant is the pipeline's classifier with some params changed, on the pipeline's SimCLR backbone or on another one.
The test split is not used, because variants are compared to choose one; the published table has validation accuracies.

Reads:  the data set, models/<profile>/encoders/simclr, the merge tables.
Writes: <out>: the changed params, the scores and baselines of each head, the epoch that was kept.
Params: ablation.<variant>; classifier, which it changes; labels, runtime.

A killed training resumes after its last finished epoch (stages/learning/checkpoints.py). With ``runtime.processes``
above 1 the stage restarts itself under torchrun.
"""

import argparse
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from pydantic import Field, model_validator

from stages.classifier.evaluate_classifier import evaluate, groups_of, report_line
from stages.classifier.training.train_classifier import build, check_batch, checkpoint_key, fit, pretrained
from stages.core.determinism import seed_everything
from stages.core.files import write_json
from stages.core.params import Section, section
from stages.labels.params import LabelParams
from stages.learning.acceleration import RuntimeParams
from stages.learning.checkpoints import WORK, Checkpoints
from stages.learning.distributed import Group, in_group
from stages.networks.backbones.backbones import Backbone, Weights
from stages.networks.backbones.features import read_crops
from stages.networks.classifier import ClassifierParams
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

SIMCLR = "simclr"


class VariantParams(Section):
    """Section ``ablation.<variant>``."""

    published: float | None = Field(ge=0, le=1)
    backbone: str
    weights: Weights | None
    classifier: dict[str, Any]

    @model_validator(mode="after")
    def _weights_where_needed(self) -> Self:
        if (self.backbone == SIMCLR) is not (self.weights is None):
            raise ValueError(
                "weights: null with backbone simclr, which has its own; none, packaged or download with others"
            )
        return self


class Variant(Section):
    """The resolved params of a variant, for the key of its checkpoints."""

    backbone: str
    weights: Weights | None
    classifier: ClassifierParams


def overridden(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``; nested mappings are merged key by key."""
    result = dict(base)
    for key, value in changes.items():
        inner = isinstance(value, dict) and isinstance(base.get(key), dict)
        result[key] = overridden(base[key], value) if inner else value
    return result


def variant_of(name: str, variant: VariantParams, classifier: ClassifierParams) -> Variant:
    """The classifier's params with the variant's changes.

    Raises:
        StageError: naming unknown keys and invalid values below ``ablation.<variant>.classifier``.
    """
    changed = overridden(classifier.model_dump(), variant.classifier)
    options = section(ClassifierParams, f"ablation.{name}.classifier", {"ablation": {name: {"classifier": changed}}})
    return Variant(backbone=variant.backbone, weights=variant.weights, classifier=options)


def build_backbone(variant: Variant, simclr: Path) -> Backbone:
    """The pipeline's pre-trained backbone, or timm's backbone of the variant's name.

    Raises:
        StageError: unknown name, no packaged weights for it, or the download failed.
    """
    pooling = variant.classifier.pooling
    if variant.backbone == SIMCLR:
        return pretrained(simclr, pooling)
    return Backbone(variant.backbone, variant.weights or "none", pooling)


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Train the variant in ``runtime.processes`` processes, score the kept epoch on validation, write."""
    variant = variant_of(args.variant, params.variant, params.classifier)
    check_batch(variant.classifier.batch, params.runtime.processes, f"ablation.{args.variant}.classifier.batch")
    return in_group(params.runtime, lambda group: _run(args, params, variant, group))


def _run(args: argparse.Namespace, params: SimpleNamespace, variant: Variant, group: Group) -> Report:
    name = args.variant
    options = variant.classifier
    seed_everything(options.seed)
    group.log(f"ablation {name}: {variant.backbone}, {params.variant.classifier}")
    network = build(args, build_backbone(variant, args.simclr), options, params.runtime, group)
    train, val = read_crops(args.dataset, "train"), read_crops(args.dataset, "val")
    checkpoints = Checkpoints(WORK / "ablation" / name, group.key(checkpoint_key(args, variant)))
    trained, _ = fit(network, [train, val], options, params.runtime, checkpoints, group)
    if not group.leader:
        return Report()
    own_scores, *_ = evaluate(network, options, train, val, groups_of(network, train, params.labels, args.tables))
    own_scores["val_rows"] = own_scores.pop("test_rows")
    for head, scores in own_scores["heads"].items():
        if scores["rows"]:
            log.info(f"ablation {name}: {report_line(head, scores, 'val')}")
    changed = params.variant.model_dump(mode="json")
    content = {**own_scores, "variant": name, "changed": changed, "epoch": trained.epoch}
    if params.variant.published is not None:
        content["published_mean_accuracy"] = params.variant.published
    write_json(args.out, content)
    checkpoints.clear()
    return Report(metrics={"val_mean_accuracy": own_scores["mean"]["accuracy"]})


STAGE = Stage(
    main,
    ["variant", "dataset", "simclr", "tables", "out"],
    {
        "variant": ("ablation.{variant}", VariantParams),
        "classifier": ("classifier", ClassifierParams),
        "labels": ("labels", LabelParams),
        "runtime": ("runtime", RuntimeParams),
    },
)
