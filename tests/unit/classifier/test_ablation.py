"""The ablation: what a variant is, and that it trains and is scored on validation."""

import shutil
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from places import TABLES
from small import write_dataset
from small_classifier import RUNTIME

from profiles import NAMES, whole
from stages.classifier import ablation
from stages.classifier.ablation import Variant, VariantParams, build_backbone, overridden, variant_of
from stages.classifier.training import trainer
from stages.classifier.training.train_classifier import checkpoint_key
from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.core.params import section
from stages.labels.params import LabelParams
from stages.networks.backbones import backbones
from stages.networks.backbones.backbones import Backbone
from stages.networks.backbones.features import save_encoder
from stages.networks.classifier import ClassifierParams

PROFILES = {name: whole(name) for name in NAMES}
PUBLISHED = [0.35, 0.44, 0.46, 0.29, 0.31, 0.33, 0.38, 0.41]
VARIANT = {"published": 0.3, "backbone": "simclr", "weights": None, "classifier": {}}
LABELS = LabelParams.model_validate(
    {
        "policies": {"a": "fashion_products", "b": "deepfashion_mm"},
        "gender_policy": "drop_row",
        "group_superclass": {"Topwear": "top"},
        "catalogues": {},
    }
)


def test_changes_go_into_mappings_key_by_key():
    base = {"epochs": 6, "augment": {"blur": 0.3, "jpeg": 0.5}}
    assert overridden(base, {"epochs": 1, "augment": {"jpeg": 0.0}}) == {
        "epochs": 1, "augment": {"blur": 0.3, "jpeg": 0.0},
    }  # fmt: skip
    assert base["augment"]["jpeg"] == 0.5


def test_variant_is_the_classifier_with_the_changes(params):
    base = params()
    variant = VariantParams.model_validate(VARIANT | {"classifier": {"hidden": [8], "augment": {"jpeg": 0.0}}})
    options = variant_of("one", variant, base).classifier
    assert (options.hidden, options.augment.jpeg, options.augment.blur) == ([8], 0.0, base.augment.blur)
    assert variant_of("none", VariantParams.model_validate(VARIANT), base).classifier == base


def test_unknown_and_impossible_changes_are_named(params):
    variant = VariantParams.model_validate(VARIANT | {"classifier": {"dropuot": 0.1, "epochs": 0}})
    with pytest.raises(
        StageError, match=r"`ablation.one.classifier.dropuot` is not a known key, did you mean `dropout`"
    ):
        variant_of("one", variant, params())
    with pytest.raises(StageError, match=r"`ablation.one.classifier.epochs` is 0"):
        variant_of("one", variant, params())


@pytest.mark.parametrize(("backbone", "weights"), [("simclr", "packaged"), ("resnet18", None)])
def test_weights_are_named_exactly_where_the_backbone_has_none(backbone, weights):
    content = {"ablation": {"one": VARIANT | {"backbone": backbone, "weights": weights}}}
    with pytest.raises(StageError, match="weights: null with backbone simclr"):
        section(VariantParams, "ablation.one", content)


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_has_the_published_ablation_and_it_is_off(profile):
    content = PROFILES[profile]
    assert content["ablation_variants"] == content["ablation_tables"] == []
    classifier = ClassifierParams.model_validate(content["classifier"])
    variants = {name: section(VariantParams, f"ablation.{name}", content) for name in content["ablation"]}
    variants = {name: one for name, one in variants.items() if one.published is not None}  # others may stand beside
    assert [variant.published for variant in variants.values()] == PUBLISHED
    resolved = {name: variant_of(name, variant, classifier) for name, variant in variants.items()}
    steps = [variant.classifier for variant in resolved.values()]
    assert [len(step.hidden) for step in steps] == [1, 2, 2, 1, 2, 2, 2, 2]
    assert [step.batch_norm for step in steps] == [False, False] + [True] * 6
    assert [step.missing_labels for step in steps] == ["as_class"] * 2 + ["masked"] * 6
    assert [step.freeze_backbone for step in steps] == [True] * 6 + [False] * 2
    assert [step.detector_class for step in steps] == ["none"] * 5 + ["scalar"] * 3
    assert [step.dropout > 0 for step in steps] == [False, True, True, False] + [True] * 4
    assert steps[-1].dropout < steps[-2].dropout and steps[-1].weight_decay < steps[-2].weight_decay
    assert [variant.backbone == "simclr" for variant in resolved.values()] == [False] * 3 + [True] * 5


def test_last_published_variant_is_the_published_system():
    content = PROFILES["paper"]
    classifier = ClassifierParams.model_validate(content["classifier"])
    variant = VariantParams.model_validate(content["ablation"]["less_regularization"])
    assert variant_of("less_regularization", variant, classifier).classifier == classifier


def test_download_without_a_network_says_what_to_do(params, monkeypatch):
    import timm

    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", refuse)
    variant = Variant(backbone="resnet50", weights="download", classifier=params())
    with pytest.raises(StageError, match="weights of resnet50 could not be downloaded .* set `weights: none`"):
        build_backbone(variant, Path("nowhere"))


TYPES = ("Dresses", "Shirts", "Skirts")


@pytest.fixture
def project(crops, params, cpu, tmp_path, monkeypatch):
    """Runs one variant in a project whose data set has no test split at all."""
    options = params(epochs=2, projection=16, hidden=[16, 16], learning_rate=0.01, pooling="last")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("runtime: {threads: 1, deterministic: true}\n")
    rows = [
        {
            "crop_id": f"{split}{number:02}", "bytes": crops[number % 6], "split": split, "source": "ab"[number % 2],
            "detected_class": "top", "type": TYPES[number % 3], "color": ("blue", "red", None)[number % 3],
        }
        for split in ("train", "val") for number in range(12)
    ]  # fmt: skip
    write_dataset(tmp_path / "dataset", rows)
    write_json(tmp_path / "dataset/vocabulary.json", {"type": list(TYPES), "color": ["blue", "red"]})
    (tmp_path / "simclr").mkdir()
    save_encoder(Backbone("test_efficientnet", "none"), {"backbone": "test_efficientnet"}, tmp_path / "simclr")
    shutil.copytree(TABLES, tmp_path / "tables")

    def run(name, **changes):
        variant = VariantParams.model_validate(VARIANT | changes)
        out = tmp_path / "ablation" / f"{name}.json"
        args = Namespace(variant=name, out=out, **{key: tmp_path / key for key in ("dataset", "simclr", "tables")})
        sections = {"variant": variant, "classifier": options, "labels": LABELS, "runtime": RUNTIME}
        report = ablation.main(args, SimpleNamespace(**sections))
        return read_json(out), report

    yield run
    torch.use_deterministic_algorithms(False)


def test_variant_is_scored_on_validation_beside_the_majority(project):
    content, report = project("one", classifier={"freeze_backbone": True})
    assert content["val_rows"] == 12 and "test_rows" not in content
    assert content["heads"]["type"]["rows"] == 12 and content["heads"]["color"]["rows"] == 8
    assert content["heads"]["type"]["baseline_majority"] == pytest.approx(1 / 3, abs=1e-6)
    assert content["type_group"]["classes"] == 3  # Dress, Topwear, Bottomwear; and "unknown" is no group here
    assert report.metrics["val_mean_accuracy"] == pytest.approx(content["mean"]["accuracy"], abs=1e-6)
    assert (content["published_mean_accuracy"], content["variant"]) == (0.3, "one")
    assert content["changed"]["classifier"] == {"freeze_backbone": True}


def test_figures_are_those_of_the_epoch_that_was_best_on_validation(project, monkeypatch):
    trained, fit = [], trainer.Trainer.fit
    monkeypatch.setattr(trainer.Trainer, "fit", lambda self, *args: trained.append(fit(self, *args)) or trained[0])
    content, _ = project("one")
    best = max(trained[0].history, key=lambda row: row["val_mean_accuracy"])
    assert content["mean"]["accuracy"] == pytest.approx(best["val_mean_accuracy"], abs=1e-6)
    assert content["epoch"] == best["epoch"]


def test_variant_without_mask_and_batch_norm_on_another_backbone_trains_and_scores(project):
    changes = {"hidden": [8], "batch_norm": False, "missing_labels": "as_class", "detector_class": "none"}
    content, _ = project("start", backbone="test_resnet", weights="none", classifier=changes)
    assert content["heads"]["color"]["classes"] == 3  # blue, red, unknown
    assert content["heads"]["color"]["rows"] == 8  # rows whose color is known; "unknown" is never right


def test_same_variant_twice_gives_the_same_bytes(project):
    assert project("one") == project("one")


def test_backbone_and_weights_decide_which_checkpoint_is_continued(params, tmp_path, monkeypatch):
    classifier = params()
    monkeypatch.chdir(tmp_path)
    for name in ("dataset/shard-0000.parquet", "dataset/vocabulary.json", "tables/superclasses.csv",
                 "simclr/encoder.json", "simclr/weights.safetensors"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    args = Namespace(**{name: tmp_path / name for name in ("dataset", "simclr", "tables")})
    starts = [("resnet18", "none"), ("resnet18", "download"), ("resnet50", "none"), ("resnet18", "none")]
    keys = [
        checkpoint_key(args, Variant(backbone=name, weights=start, classifier=classifier)) for name, start in starts
    ]
    assert len(set(keys[:3])) == 3 and keys[3] == keys[0]


def test_backbones_of_the_ablation_are_timms():
    import timm

    names = {variant["backbone"] for content in PROFILES.values() for variant in content["ablation"].values()}
    assert names >= {"simclr", "resnet18", "resnet50", "tf_efficientnet_lite0"}
    assert {*names - {"simclr"}, "convnext_tiny"} <= set(timm.list_models())
    assert set(backbones.Weights.__args__) >= {"none", "packaged", "download"}
