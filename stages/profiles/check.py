"""Refuse params before anything runs: values that a stage would refuse, and recipes that do not fit their data.

Every section is checked by the typed model of each stage that reads it, recipes by the model of their kind. Other
checks need several sections: which tables an encoder can learn from, and whether these have items, categories
and labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from stages.benchmarks.params import UPSTREAM, BenchmarkParams
from stages.classifier.ablation import VariantParams, variant_of
from stages.classifier.training.train_classifier import check_batch
from stages.core.errors import StageError, shown
from stages.core.params import section
from stages.demo.demo import SOURCES
from stages.encoders.recipes import Recipe, read_recipe
from stages.labels.params import LabelParams
from stages.learning.acceleration import RuntimeParams
from stages.networks.classifier import ClassifierParams
from stages.profiles.app import AppParams
from stages.run import STAGES
from stages.runner.lists import DERIVED, LISTS, SECTIONS, check_lists

# Sources whose validation split is a share of their training groups. The others publish a validation split.
SHARED_OUT = ("inshop", "pairs")
# Kinds of recipe without a loss on validation.
NO_VAL_LOSS = ("frozen", "ensemble", "normsoftmax", "image_text")
# Rows of a category that make a positive pair.
PAIR = 2
# Policies whose labels name the physical item.
NAMING_ITEMS = ("deepfashion_mm",)


@dataclass(frozen=True)
class Table:
    """What params tell about a table that an encoder learns from.

    Attributes:
        rows: largest possible number of training rows; None = not known.
        min_category_images: a category with fewer images is not in the table; 0 = all categories are.
    """

    items: bool
    categories: bool
    labels: bool
    rows: int | None = None
    min_category_images: int = 0


def check(content: Mapping[str, Any], path: Path) -> None:
    """All checks of composed params.

    Args:
        content: the result of ``compose``.
        path: of the profile, for messages.

    Raises:
        StageError: the first wrong value, with its key.
    """
    check_sections(content, path)
    check_lists(content, str(path))
    try:
        _check_lists_of_sources(content)
        for name in content["benchmarks"]:
            _check_benchmark(name, content)
        recipes = {name: read_recipe(name, content, path) for name in content["trained_encoders"]}
        for name, recipe in recipes.items():
            _check_recipe(name, recipe, content)
        _check_variants(content)
    except StageError as error:
        raise StageError(f"{path}: {error}") from None


def check_sections(content: Mapping[str, Any], path: Path) -> None:
    """Parse every section by the typed models of the stages that read it.

    Raises:
        StageError: a key is missing, unknown or out of range, or no stage reads a section.
    """
    known = {"profile", "raw", *LISTS, *DERIVED, "demo"}
    for module in STAGES.values():
        for pattern, model in import_module(module).STAGE.params.values():
            head, _, item = pattern.partition(".")
            known.add(head)
            if "{" in item:
                for name in content.get(head, {}):
                    section(model, f"{head}.{name}", content, path)
            elif head not in SECTIONS or head in content:
                section(model, pattern, content, path)
    section(AppParams, "app", content, path)
    known.add("app")
    if unread := [key for key in content if key not in known]:
        raise StageError(f"{path}: no stage reads `{shown(unread)}`; there are: {shown(known)}. Correct the name.")


def _check_lists_of_sources(content: Mapping[str, Any]) -> None:
    if not str(content["raw"]).startswith(f"data/{content['profile']}/") and content["demo_sources"]:
        raise StageError(
            f"`raw` is {content['raw']}, into which the demo would draw. Put it below data/{content['profile']}/."
        )
    _within("detectors", content["detectors"], "sources", content)
    _within("label_sources", content["label_sources"], "sources", content)
    _within("dataset.upstream_splits", content["dataset"]["upstream_splits"], "label_sources", content)
    _within("dataset.group_namespaces", list(content["dataset"]["group_namespaces"]), "label_sources", content)
    labels = section(LabelParams, "labels", dict(content))
    for source in content["label_sources"]:
        if labels.policy_of(source) == "catalogue":
            labels.catalogue_of(source)
    _check_salient(content, labels)
    if content["ablation_tables"] and not content["ablation_variants"]:
        raise StageError("`ablation_tables` wants a table and `ablation_variants` is empty. Fill both, or none.")
    if not content["label_sources"] or not content["encoders"] or not content["benchmarks"]:
        raise StageError("`label_sources`, `encoders` and `benchmarks` need an entry each: all stages build on them.")
    runtime = section(RuntimeParams, "runtime", dict(content))
    for name in ("simclr", "classifier"):
        check_batch(content[name]["batch"], runtime.processes, f"`{name}.batch`")
    if runtime.gpus and runtime.deterministic:
        raise StageError(
            "`runtime.gpus` asks for GPUs, but `runtime.deterministic` keeps networks on CPUs. Set gpus: 0."
        )


def _check_salient(content: Mapping[str, Any], labels: LabelParams) -> None:
    sources = content["salient_sources"]
    if content["crops"]["boxes"] == "salient":
        if lacking := [source for source in content["label_sources"] if source not in sources]:
            raise StageError(
                f"`crops.boxes` is salient, and `salient` does not name {shown(lacking)}, whose crops are cut. Add "
                "`salient: {SOURCE: without_box}` for each, or set `crops.boxes: detectors`."
            )
        if content["crops"]["agreement"] == "required":
            raise StageError(
                "`crops.boxes` is salient, and its boxes have no class that could agree with a label. Set "
                "`crops.agreement: ignored`."
            )
        if "type" not in content["classifier"]["heads"]:
            raise StageError(
                "`crops.boxes` is salient, and its boxes get their class from the classifier's head `type`. Add type "
                "to `classifier.heads`, or set `crops.boxes: detectors`."
            )
    elif content["crops"]["background"] == "plain":
        raise StageError(
            "`crops.background` is plain, which needs the masks of `crops.boxes: salient`. Set background: photo."
        )
    _within("salient", sources, "detectors", content)
    _within("salient", sources, "label_sources", content)
    for source in sources:
        if labels.policy_of(source) != "catalogue":
            raise StageError(
                f"`salient.{source}`: a box gets its class from the photo's one label, which the policy "
                f"{labels.policy_of(source)} does not give. Take {source} out of `salient`."
            )
        detector, label = content["detector"][source], labels.catalogue_of(source).label_column
        if detector["class_column"] not in ("superclass", label):
            raise StageError(
                f"`detector.{source}.class_column` is {detector['class_column']}, and boxes of `salient` have a label "
                f"or a superclass. Use `classes_table: superclasses.csv` and `class_column: superclass`."
            )
        if detector["unboxed_is_background"]:
            raise StageError(
                f"`detector.{source}.unboxed_is_background` is true, so photos on which the salient network is not "
                "sure would be learned as empty. Set it to false."
            )


def _within(key: str, names: list[str], allowed: str, content: Mapping[str, Any]) -> None:
    if lacking := [name for name in names if name not in content[allowed]]:
        raise StageError(
            f"`{key}` names {shown(lacking)}, which `{allowed}` has not: {shown(content[allowed])}. Add it there."
        )


def _benchmark(name: str, content: Mapping[str, Any]) -> BenchmarkParams:
    return section(BenchmarkParams, f"benchmark.{name}", dict(content))


def _check_benchmark(name: str, content: Mapping[str, Any]) -> None:
    benchmark = _benchmark(name, content)
    key = f"benchmark.{name}"
    if benchmark.source is not None:
        _within(
            f"{key}.source", [benchmark.source], "sources" if benchmark.kind in UPSTREAM else "label_sources", content
        )
    if benchmark.detection:
        _within(f"{key}.detection.detector", [benchmark.detection.detector], "detectors", content)
    if benchmark.kind == "wardrobe" and content["labels"]["policies"].get(benchmark.source) not in NAMING_ITEMS:
        raise StageError(
            f"`{key}` looks for the same item, and the labels of {benchmark.source} name no items. Use kind category."
        )
    drawn = _drawn_rows(benchmark, content)
    if drawn is not None and benchmark.min_category_images > drawn:
        raise StageError(
            f"`{key}.min_category_images` is {benchmark.min_category_images}, but demo.{benchmark.source} draws "
            f"{drawn} training images in all. Lower it, or draw more."
        )


def _drawn_rows(benchmark: BenchmarkParams, content: Mapping[str, Any]) -> int | None:
    """Training images that the demo draws for a benchmark; None where it draws none, or its params count items."""
    if benchmark.source not in content["demo_sources"]:
        return None
    params = section(SOURCES[benchmark.source].PARAMS, f"demo.{benchmark.source}", dict(content))
    return getattr(params, "train", None) if benchmark.kind in ("image_category", "multilabel") else None


def table_of(name: str, recipe: Recipe, content: Mapping[str, Any]) -> Table:
    """The table that encoder ``name`` learns from.

    Raises:
        StageError: the table does not exist, or has no training or no validation rows.
    """
    learns_from, key = recipe.learns_from, f"`encoder.{name}.learns_from.table`"
    if learns_from.table == "dataset":
        policies = [content["labels"]["policies"][source] for source in content["label_sources"]]
        return Table(any(policy in NAMING_ITEMS for policy in policies), True, bool(learns_from.labels))
    if learns_from.table not in content["benchmarks"]:
        raise StageError(
            f"{key} is {learns_from.table!r}, which is neither `dataset` nor in `benchmarks`: "
            f"{shown(content['benchmarks'])}. List it, or learn from another table."
        )
    benchmark = _benchmark(learns_from.table, content)
    if benchmark.kind not in UPSTREAM:
        raise StageError(
            f"{key} is {learns_from.table!r}, a benchmark of kind {benchmark.kind}, which has no train split of its "
            "own. Learn from `dataset`, which it is taken from."
        )
    if benchmark.kind in SHARED_OUT and content["ingest"][benchmark.source]["val_share"] == 0:
        raise StageError(
            f"{key} is {learns_from.table!r}, which has no validation rows: `ingest.{benchmark.source}.val_share` is "
            "0. Raise it to .1 or so."
        )
    rows = _drawn_rows(benchmark, content)
    if benchmark.kind == "image_category":
        return Table(False, True, False, rows, benchmark.min_category_images)
    return Table(False, False, True, rows) if benchmark.kind == "multilabel" else Table(True, True, False)


def _check_recipe(name: str, recipe: Recipe, content: Mapping[str, Any]) -> None:
    table, key = table_of(name, recipe, content), f"encoder.{name}"
    where = f"the table {recipe.learns_from.table!r}, which has none"
    needs = _needs(recipe)
    for what, has_any in (("items", table.items), ("categories", table.categories), ("labels", table.labels)):
        if what in needs and not has_any:
            more = " (name heads in `learns_from.labels`)" if what == "labels" else ""
            raise StageError(f"`{key}{needs[what]}` needs {what} and learns from {where}{more}.")
    if recipe.validation.select == "loss" and recipe.kind in NO_VAL_LOSS:
        raise StageError(
            f"`{key}.validation.select` is loss, and kind {recipe.kind} has none on validation: hit_at_1 or knn."
        )
    _check_counts(key, recipe, table)


def _needs(recipe: Recipe) -> dict[str, str]:
    """What the recipe needs from its table -> the key that asks for it."""
    needs = {
        "hit_at_1": {"items": ".validation.select: hit_at_1"},
        "knn": {"categories": ".validation.select: knn"},
    }.get(recipe.validation.select, {})
    if recipe.kind in ("ensemble", "siamese"):
        needs |= {"categories": f".kind: {recipe.kind}"}
    if recipe.kind == "attention":
        needs |= {"labels": ".kind: attention"}
    if recipe.kind == "normsoftmax":
        needs |= {"items" if recipe.target == "item" else "categories": f".target: {recipe.target}"}
    if recipe.kind == "fir":
        needs |= {"items": ".losses: IS"} if "IS" in recipe.losses else {}
        needs |= {"categories": f".losses: {recipe.losses}"} if {"OC", "OS"} & set(recipe.losses) else {}
    return needs


def _check_counts(key: str, recipe: Recipe, table: Table) -> None:
    rows = min((count for count in (table.rows, recipe.learns_from.max_train) if count is not None), default=None)
    if recipe.kind == "siamese" and rows is not None and rows < 2 * recipe.min_images:
        raise StageError(
            f"`{key}.min_images` is {recipe.min_images}, and there are {rows} training rows at most: pairs need two "
            "such categories. Lower it, or learn from more."
        )
    if recipe.kind == "siamese" and table.min_category_images and recipe.min_images > PAIR:
        raise StageError(
            f"`{key}.min_images` is {recipe.min_images}, but benchmark {recipe.learns_from.table} has chosen its "
            f"categories already, by {table.min_category_images} images before some of them ask and validate "
            "(`min_category_images`): counting the rest again leaves out categories that are asked for. Set it to "
            f"{PAIR}."
        )
    if recipe.kind == "fir" and recipe.losses != ["OC"] and recipe.schedule.batch < 2 * recipe.per_label:
        raise StageError(
            f"`{key}.schedule.batch` is {recipe.schedule.batch}: triplets need two labels of {recipe.per_label} rows "
            "(`per_label`) in a batch."
        )
    if recipe.kind == "normsoftmax" and recipe.schedule.batch < 2 * recipe.per_class:
        raise StageError(
            f"`{key}.schedule.batch` is {recipe.schedule.batch}: two classes of {recipe.per_class} rows (`per_class`) "
            "belong in a batch."
        )
    if recipe.validation.k > recipe.validation.reference:
        raise StageError(
            f"`{key}.validation.k` is {recipe.validation.k} of {recipe.validation.reference} rows "
            "(`validation.reference`)."
        )


def _check_variants(content: Mapping[str, Any]) -> None:
    classifier = section(ClassifierParams, "classifier", dict(content))
    for name in content["ablation_variants"]:
        variant = variant_of(name, section(VariantParams, f"ablation.{name}", dict(content)), classifier)
        check_batch(variant.classifier.batch, content["runtime"]["processes"], f"`ablation.{name}.classifier.batch`")
