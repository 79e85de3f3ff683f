"""One page of a profile, in one file, for people who look at pictures: numbers, data flow, cleaning, boxes, searches.

Reads:  DATA (every table of the profile, and its reports), METRICS (numbers, plots, the seeds' spread), MODELS (the
        pictures that the attention recipe drew), PUBLISHED (docs/published.csv).
Writes: OUT/index.html: opens from disk without a network. Pictures are chosen by the hash of an id or by a rule that
        the page names.

The folders say what there is; a part that a profile lacks is left out with a word. ``make report`` opens the page.
"""

import base64
import json
import logging
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from threadpoolctl import threadpool_limits

from stages.core.errors import StageError
from stages.core.files import fresh_folder, read_json
from stages.page import charts, flow, garments, numbers
from stages.page.gallery import gallery
from stages.page.lookup import Profile, Row, csv_rows, item_facts, picture_facts
from stages.page.pictures import Pictures
from stages.page.text import facts_entries
from stages.runner.stage import Report, Stage

log = logging.getLogger(__name__)

TEMPLATES = Path(__file__).parent / "templates"
MISTAKES = 12  # of a head
FIRST = "classifier"  # the encoder that the page opens with, where there is one
LARGEST = 15_000_000  # bytes of the page
SHARES = (1.0, 0.5, 0.25, 0.125)  # of the pictures, tried until the page is small enough
WORDS = {
    "nopic": "no picture", "none": "none", "all": "all", "open": "Follow this row",
    "uncut": "no crop was cut for this item: a miss", "nomatch": "the gallery has no right row",
    "first": "The first N of the cell, by hash of their id.",
    "trace": "The whole trace, with upstream file, line and hashes: make trace.",
}  # fmt: skip


def embedded(content: Any) -> Markup:
    """JSON that may stand in a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    for sign, code in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(sign, code)
    return Markup(text)


def classifier_parts(
    profile: Profile, pictures: Pictures, cells: dict[str, Any], most: int
) -> tuple[list[Row], list[Row]]:
    """Confusion matrices of the heads, and of each head the surest mistakes."""
    rows = csv_rows(profile.data / "report" / "classifier" / "predictions.csv")
    matrices: list[Row] = []
    mistakes: list[Row] = []
    for head in dict.fromkeys(row["head"] for row in rows):
        own = [row for row in rows if row["head"] == head]
        predicted_rows = [
            (row["label"], row["prediction"], row["crop_id"], f"{row['prediction']} {float(row['probability']):.2f}")
            for row in own
        ]
        matrices.append(garments.matrix(head, predicted_rows, cells, most))
        wrong = [row for row in own if row["label"] != row["prediction"]]
        wrong.sort(key=lambda row: (-float(row["probability"]), row["crop_id"]))
        mistakes.append({"head": head, "wrong": len(wrong), "rows": len(own), "shown": wrong[:MISTAKES]})
    shown = {row["crop_id"] for entry in mistakes for row in entry["shown"]}
    shown |= {key for name, own in cells.items() if name.split("|")[0] in {entry["name"] for entry in matrices}
              for key, _ in own}  # fmt: skip
    for crop_id in sorted(shown):
        pictures.ask(crop_id, profile.data / "dataset", "crop_id", crop_id)
    return matrices, mistakes


def detector_matrices(profile: Profile, pictures: Pictures, cells: dict[str, Any], most: int) -> list[Row]:
    """Confusion matrices of the detectors; a cell's pictures are whole images."""
    matrices = []
    for name, rows in profile.grouped("detector", "report", "detector", "boxes.parquet").items():
        panel = f"detector {name}"
        predicted_rows = [
            (row["actual"], row["superclass"], f"{name}:{row['image_id']}", garments.scored_box(row)["text"])
            for row in rows
        ]
        matrices.append(garments.matrix(panel, predicted_rows, cells, most))
        for cell in [cell for cell in cells if cell.startswith(f"{panel}|")]:
            for key, _ in cells[cell]:
                image_id = key.partition(":")[2]
                pictures.ask(key, profile.data / "ingested" / name, "image_id", image_id)
    return matrices


def facts_of(profile: Profile, keys: list[str], rows: dict[str, tuple[str, str]]) -> dict[str, list[list[str]]]:
    """Key of a picture -> what a trace tells of its row, of all that lead to an item or image."""
    result = {}
    for key in keys:
        benchmark, row_id = rows.get(key, ("", ""))
        source, own = profile.source_of(benchmark, row_id) if benchmark else key.split(":", 1)
        try:
            if source in profile.labeled and own in profile.labels(source):
                facts = item_facts(profile, source, own)
            else:
                facts = picture_facts(profile, source, own)
        except StageError:
            continue
        result[key] = [list(pair) for pair in facts_entries(facts)]
    return result


def sheets(paths: Iterable[Path]) -> list[Row]:
    """Pictures that a stage drew, whole: attention maps and recommendations of the attention recipe, label errors."""
    result = []
    for path in sorted(paths):
        data = base64.b64encode(path.read_bytes()).decode()
        result.append({"of": path.parent.name, "name": path.stem, "src": f"data:image/jpeg;base64,{data}"})
    return result


def leakage(data: Path, metrics: Path) -> Row | None:
    """The counts of stage leakage and its sheet of suspects; None where the stage did not run."""
    path = metrics / "leakage.json"
    if not path.is_file():
        return None
    return {**read_json(path), "sheets": sheets((data / "report" / "leakage").glob("*.jpg"))}


def curves(metrics: Path) -> dict[str, list[Row]]:
    """Charts: the siamese network's, and of FIR a panel for each of its losses."""
    paths = [metrics / "plots" / "training" / f"{name}.csv" for name in ("training", "validation")]
    siamese = [entry for path in paths for entry in charts.panels(path, lambda name: name.startswith("siamese"))]
    fir = charts.panels(paths[0], lambda name: name.startswith("fir") and "accuracy" not in name)
    fir_validation = charts.panels(paths[1], lambda name: name.startswith("fir"))
    return {"siamese": siamese, "fir": charts.by_loss(fir) + fir_validation}


def context(data: Path, metrics: Path, models: Path, published: Path, share: float = 1.0) -> Row:
    """Everything the template shows.

    Args:
        share: of the pictures that may be shown.
    """
    profile, pictures = Profile(data), Pictures()
    seeds, rows = numbers.Seeds(metrics), numbers.published(published)
    cells: dict[str, Any] = {}
    scored = sorted(path.stem for path in (data / "report" / "retrieval").glob("*.json"))
    encoders = [name for name in scored if name in profile.folders("embeddings")]
    results = [read_json(data / "report" / "retrieval" / f"{name}.json") for name in encoders[:1]]
    benchmarks = (
        sorted(results[0], key=lambda name: (profile.benchmark(name)["kind"] != "wardrobe", name)) if results else []
    )
    first = FIRST if FIRST in encoders else encoders[0] if encoders else ""
    searched = gallery(profile, pictures, encoders, benchmarks, first, share) if encoders and benchmarks else None
    most = round(garments.IN_MATRIX * share)
    matrices, mistakes = classifier_parts(profile, pictures, cells, most)
    result: Row = {
        "profile": data.name,
        "tables": {
            "retrieval": numbers.retrieval(metrics, seeds, rows),
            "heads": numbers.heads(metrics, seeds, rows),
            "detectors": numbers.detectors(metrics, seeds, rows),
            "simclr": numbers.simclr(metrics, seeds),
            "ablation": numbers.ablation(metrics),
        },
        "seeds": seeds.seeds,
        "flows": [flow.drawing(profile, source) for source in profile.sources],
        "rejected": garments.rejected(profile, pictures),
        "outcomes": garments.outcomes(profile, pictures),
        "detections": garments.detections(profile, pictures),
        "matrices": matrices,
        "detector_matrices": detector_matrices(profile, pictures, cells, most),
        "mistakes": mistakes,
        "curves": curves(metrics),
        "sheets": sheets(models.glob("encoders/*/*.jpg")),
        "suspects": sheets((data / "suspects").glob("*.jpg")),
        "leakage": leakage(data, metrics),
        "gallery": bool(searched),
    }
    encoded, keys = pictures.encode()
    facts = facts_of(
        profile, [key for key in keys if not key.startswith("photo:")], searched["rows"] if searched else {}
    )
    groups = [group for section in ("rejected", "outcomes", "detections") for group in result[section]]
    rows_of_photos = {entry["photo"]["row"] for group in groups for entry in group["examples"] if entry["photo"]}
    facts |= facts_of(profile, sorted(rows_of_photos - set(facts)), {})
    result["data"] = embedded({
        "pics": encoded, "pic": keys, "facts": facts, "cells": cells, "words": WORDS,
        "gallery": searched and searched["gallery"], "space": searched and searched["space"],
    })  # fmt: skip
    return result


def rendered(content: Row) -> str:
    """The page. Everything is escaped but the style, the script and the data, which are ours."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    own = {name: Markup((TEMPLATES / f"page.{name}").read_text(encoding="utf-8")) for name in ("css", "js")}
    return environment.get_template("index.html.j2").render(content | own)


def main(args: Namespace, params: SimpleNamespace) -> Report:
    """Gather, render, write; of many encoders and benchmarks fewer pictures, until a mail can carry the page.

    Raises:
        StageError: when it is too large whatever is left out.
    """
    with threadpool_limits(1):  # matrices are small: two threads wait for each other more than they compute
        for share in SHARES:
            page = rendered(context(args.data, args.metrics, args.models, args.published, share)).encode()
            if len(page) <= LARGEST:
                break
        else:
            raise StageError(f"{args.out}: the page has {len(page)} bytes, more than {LARGEST}. List fewer encoders.")
    path = fresh_folder(args.out) / "index.html"
    path.write_bytes(page)
    size = len(page)
    log.info(f"report: {size / 1e6:.1f} MB, {path}")
    return Report(metrics={"megabytes": size / 1e6})


STAGE = Stage(main, ["data", "metrics", "models", "published", "out"], {})
