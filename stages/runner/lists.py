"""The lists of params.yaml: the items that run, the sections that they need, and the values derived from them."""

from collections.abc import Callable, Mapping
from typing import Any

from stages.core.errors import StageError, shown

LISTS = (
    "demo_sources",
    "sources",
    "detectors",
    "label_sources",
    "encoders",
    "benchmarks",
    "ablation_variants",
    "ablation_tables",
)
OWN_STAGES = ("simclr", "classifier")  # encoders with a stage of their own; train_encoder trains the others
DERIVED = ("drawn", "salient_sources", "crop_boxes", "trained_encoders", "box_reads", "trains", "benchmark_reads")
OF_DATASET = ("wardrobe", "category")  # kinds of benchmark over the data set; the others are over an ingested source
PAIRS = (
    "pairs",
    "annotated",
)  # kind and boxes of benchmarks that read a detector's box table, if there is one
# Section with a member for each item -> the items that the lists name.
SECTIONS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "demo": lambda content: content["demo_sources"],
    "ingest": lambda content: content["sources"],
    "detector": lambda content: content["detectors"],
    "ablation": lambda content: content["ablation_variants"],
    "encoder": lambda content: trained(content["encoders"]),
    "benchmark": lambda content: content["benchmarks"],
}


def trained(encoders: list[str]) -> list[str]:
    """The encoders that train_encoder trains."""
    return [name for name in encoders if name not in OWN_STAGES]


def table_folder(profile: str, table: str) -> str:
    """Folder of the table that an encoder learns from: the data set, or a benchmark with a train split."""
    return f"data/{profile}/{'dataset' if table == 'dataset' else f'benchmarks/{table}'}"


def derived(content: Mapping[str, Any]) -> dict[str, Any]:
    """The values that follow from the lists and the recipes.

    ``drawn`` is [all] where the demo draws something. ``salient_sources`` are those that section ``salient`` names,
    and ``crop_boxes`` is the folder whose boxes cut the crops: of the trained detectors, or of the salient network.
    ``box_reads`` maps each detector to the folder with its boxes: its ingested source, or what the salient network made
    of it. ``trains`` maps each trained encoder to the folder that it learns from, ``benchmark_reads`` each benchmark to
    the folders that it depends on.
    """
    names = trained(content["encoders"])
    salient, data = list(content.get("salient") or {}), f"data/{content['profile']}"
    by_salient = (content.get("crops") or {}).get("boxes") == "salient"
    tables = {name: _table(content["encoder"][name]) for name in names}
    return {
        "drawn": ["all"] if content["demo_sources"] else [],
        "salient_sources": salient,
        "crop_boxes": f"{data}/salient" if by_salient else f"models/{content['profile']}/detectors",
        "box_reads": {
            name: f"{data}/{'salient' if name in salient else 'ingested'}/{name}" for name in content["detectors"]
        },
        "trained_encoders": names,
        "trains": {name: table_folder(content["profile"], tables[name]) for name in names},
        "benchmark_reads": benchmark_reads(content),
    }


def _table(recipe: Any) -> str:
    learns_from = recipe.get("learns_from") if isinstance(recipe, Mapping) else None
    return str(learns_from.get("table")) if isinstance(learns_from, Mapping) else "dataset"  # the recipe's check says


def benchmark_reads(content: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """For each listed benchmark the folders that it depends on.

    Every item of a DVC stage has the same number of dependencies, so a benchmark without a detector names its folder of
    images twice.

    Args:
        content: params with ``profile``, ``benchmarks``, ``benchmark`` and ``detectors``.

    Returns:
        name -> ``images``: the data set or an ingested source; ``model``: what tells the class of a box, which is a
        trained detector, or the box table of a detector for annotated garments.
    """
    profile, result = content["profile"], {}
    for name in content["benchmarks"]:
        section = content["benchmark"][name]  # profiles/check.py reports missing keys before anything runs
        of_dataset = section.get("kind") in OF_DATASET
        images = f"data/{profile}/dataset" if of_dataset else f"data/{profile}/ingested/{section.get('source')}"
        detector = (section.get("detection") or {}).get("detector") if section.get("boxes") == "detected" else None
        model = f"models/{profile}/detectors/{detector}" if detector else images
        if (section.get("kind"), section.get("boxes")) == PAIRS and section.get("source") in content["detectors"]:
            model = f"data/{profile}/boxes/{section['source']}"
        result[name] = {"images": images, "model": model}
    return result


def check_lists(content: Mapping[str, Any], path: str = "params.yaml") -> None:
    """Refuse params whose lists, sections and derived values do not fit each other; missing keys are skipped.

    Raises:
        StageError: naming the key, its value, the expected value, and how to change a list.
    """
    for section, named in SECTIONS.items():
        if not isinstance(content.get(section), Mapping):
            continue
        try:
            wanted = set(named(content))
        except (KeyError, TypeError):
            continue
        present = set(content[section])
        if wanted != present:
            what = (
                f"no section for {shown(wanted - present)}"
                if wanted - present
                else f"no list names {shown(present - wanted)}"
            )
            raise _refused(path, f"`{section}` does not fit the lists: {what}")
    try:
        expected = derived(content)
    except (KeyError, TypeError):
        return
    for key, value in expected.items():
        if key in content and content[key] != value:
            raise _refused(path, f"`{key}` is {content[key]!r}, but the lists and recipes say {value!r}")


def _refused(path: str, what: str) -> StageError:
    return StageError(
        f"{path}: {what}. `-S` and edits by hand change values; a list, and what an encoder learns from, changes by "
        "`make use PROFILE=...`: edit the profile, or edit params.yaml and say KEEP=1."
    )
