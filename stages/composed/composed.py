"""Score detection and search on composed pictures: several garments, none, and flat lays.

Usage: python -m stages.run composed [--seed 0]     (`make composed`; after `make repro` of a profile with `salient`)

Garments of held-out photos are cut out by U²-Net-p's masks where these are sure, and pasted on other grounds, so that
the box, the labels and the photo of each garment are known. Each picture goes the way of a photo in `make match`:
boxes (salient ones where `crops.boxes` says so, else the trained detector's), the classifier, and a search in a
wardrobe. The trained detector's boxes are scored in any case. The wardrobe has the training photos and the photos that
the garments were cut out of. The same material and seed give the same pictures.

Writes data/<profile>/composed/seed-<seed> (pictures, truth.json, scores.json, sheets with right and wrong boxes) and,
for seed 0, metrics/<profile>/composed.json, which `make review` compares. docs/photos.md explains the numbers.
"""

import logging
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from stages.app.command import progress_bar
from stages.app.garments import MAX_PIXELS
from stages.app.items import QueryPhoto
from stages.app.models import Models
from stages.app.wardrobe import Wardrobe
from stages.composed.cutouts import photos_of, read_material
from stages.composed.gallery import Gallery, training_labels, write_photos
from stages.composed.pictures import COUNTS, Pasted, Picture, compose
from stages.composed.scores import Outcome, Result, as_markdown, metrics_of, paired, scores_of
from stages.contracts.images import decode, encode_jpeg
from stages.core.errors import StageError
from stages.core.files import fresh_folder, write_json
from stages.core.params import load_params, lookup
from stages.networks.detector.detection_sheets import TRUTH, Drawn, Outline, Sheets, color_of, drawn, write_sheet
from stages.runner.progress import track
from stages.runner.stage import new_parser, one_message

log = logging.getLogger(__name__)

WORK = Path(".work/composed")  # galleries and their stores; what was read once is not read again
COMPARED = 0  # the seed whose scores become metrics
RIGHT, WRONG = "right", "wrong"
ROW = 4  # pictures in a row of a sheet
EXPLAINED = 4  # of each of RIGHT and WRONG on the sheet that shows both


def truth_json(picture: Picture) -> dict[str, Any]:
    """The truth of a picture as JSON."""
    return {"name": picture.name, "kind": picture.kind, "garments": [asdict(garment) for garment in picture.garments]}


def score(picture: Picture, content: bytes, gallery: Gallery) -> tuple[Result, QueryPhoto]:
    """What the wardrobe answers for a picture, and what it saw in it.

    Args:
        picture: with its truth.
        content: its JPEG.
        gallery: in which its garments are searched.
    """
    wardrobe, truth = gallery.wardrobe, picture.garments
    query = wardrobe.read_query(content)
    boxed = [garment for garment in query.garments if garment.box is not None]
    actual = [garment.box for garment in truth]
    partner = paired(actual, [garment.box for garment in boxed if garment.box is not None])
    outcomes = []
    for at, garment in enumerate(truth):
        drawn_by_hand = wardrobe.correct(content, garment.box, _known(garment, wardrobe.models))
        detected = gallery.answer(boxed[partner[at]], garment) if at in partner else None
        outcomes.append(Outcome(gallery.answer(drawn_by_hand, garment), detected))
    whole = gallery.answer(query.garments[0], truth[0]) if len(truth) == 1 and not boxed else None
    trained = wardrobe.models.trained_boxes(content)
    return Result(picture.kind, outcomes, len(boxed), whole, (len(trained), len(paired(actual, trained)))), query


def _known(garment: Pasted, models: Models) -> str:
    """The superclass that a person would choose; none where no detector has it."""
    return garment.superclass if garment.superclass in models.superclasses else "none"


def all_right(result: Result) -> bool:
    """Whether every garment was detected, no box is false, and the right match is first for all of them."""
    detected = [outcome.detected for outcome in result.outcomes]
    return result.boxes == len(detected) and all(answer is not None and answer.right_first for answer in detected)


def cell(picture: Picture, content: bytes, result: Result, query: QueryPhoto) -> Drawn:
    """A picture with its true boxes (white), those that were detected, and what is right."""
    outlines = [Outline(garment.box, TRUTH, width=1) for garment in picture.garments]
    for garment in query.garments:
        if garment.box is not None:
            text = f"{garment.superclass} {garment.confidence or 0:.2f}"
            outlines.append(Outline(garment.box, color_of(garment.superclass), text))
    detected = [outcome.detected for outcome in result.outcomes if outcome.detected is not None]
    first = sum(answer.right_first for answer in detected)
    labels = sum(answer.labels_right for answer in detected)
    lines = [
        f"{picture.name}: {len(detected)} of {len(result.outcomes)} garments",
        f"{result.boxes - len(detected)} false boxes, {labels} labels right, {first} right first",
    ]
    return drawn(np.asarray(decode(content, MAX_PIXELS)[0]), outlines, lines)


def run(profile: str, sources: list[str], models: Models, seed: int, counts: dict[str, int]) -> dict[str, Any]:
    """Compose, search, score, write; the scores by kind.

    Args:
        profile: its name.
        sources: those with masks.
        models: of the profile.
        seed: of the pictures.
        counts: kind -> pictures.

    Raises:
        StageError: an output of a stage is missing, or gives too few garments.
    """
    data = Path("data") / profile
    material = read_material(data, sources)
    log.info(f"{len(material.cutouts)} garments, {len(material.strips)} grounds; left out: {dict(material.left_out)}")
    out = fresh_folder(data / "composed" / f"seed-{seed}")
    training = {
        f"{source}:{image_id}": own for source in sources for image_id, own in training_labels(data, source).items()
    }
    originals = [cutout.photo for cutout in material.cutouts]
    photos = write_photos(WORK / profile / "photos", training, originals, partial(photos_of, data))
    gallery = Gallery(Wardrobe(models, WORK / profile / "store"), photos, progress_bar())
    sheets = Sheets([*counts, RIGHT, WRONG])
    results: dict[str, list[Result]] = {kind: [] for kind in counts}
    truths = []
    (out / "pictures").mkdir()
    for picture in track(compose(material, seed, counts), total=sum(counts.values()), desc="composed pictures"):
        content = encode_jpeg(picture.image)
        (out / "pictures" / f"{picture.name}.jpg").write_bytes(content)
        truths.append(truth_json(picture))
        result, query = score(picture, content, gallery)
        results[picture.kind].append(result)
        shown = [picture.kind, *([RIGHT if all_right(result) else WRONG] if picture.garments else [])]
        sheets.add(shown, picture.name, partial(cell, picture, content, result, query))
    scores = {kind: scores_of(own) for kind, own in results.items()}
    write_json(out / "truth.json", truths)
    material_json = {"cutouts": len(material.cutouts), "strips": len(material.strips), "left_out": material.left_out}
    gallery_json = {"training": len(training), "originals": len(originals)}
    write_json(out / "scores.json", {"seed": seed, "material": material_json, "gallery": gallery_json, "kinds": scores})
    sheets.write(out)
    both = [drawn_cell for kind in (RIGHT, WRONG) for _, drawn_cell in sheets.cells[kind][:EXPLAINED]]
    write_sheet(both, out / "right_and_wrong.jpg")
    if seed == COMPARED:
        write_json(Path("metrics") / profile / "composed.json", metrics_of(scores))
    return scores


def main() -> None:
    """The command."""
    parser = new_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the pictures (default: %(default)s)")
    args = parser.parse_args()
    if args.seed < 0:
        parser.error(f"argument --seed: expected 0 or more, found {args.seed}")
    with one_message():
        content = load_params()
        profile, sources = str(lookup(content, "profile")), lookup(content, "salient_sources")
        if not sources:
            raise StageError(
                f"profile {profile} has no masks by which garments are cut out: its section `salient` is empty. "
                "`make use PROFILE=photos`, or `make add ... SALIENT=1` for photos of your own."
            )
        print(as_markdown(run(profile, sources, Models.open(content), args.seed, COUNTS)))
