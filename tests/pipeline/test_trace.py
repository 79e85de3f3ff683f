"""``make trace``: twenty rows of the demo, by hash order, followed to the picture that was drawn for them."""

import hashlib
import json
from pathlib import Path

import pytest
from commands import run, succeed

from stages.contracts.boxes import box_of
from stages.contracts.tables import hash_split, read_table
from stages.core.errors import StageError
from stages.core.files import digest
from stages.core.heads import HEADS
from stages.core.params import load_params
from stages.page.lookup import Profile
from stages.page.text import as_text
from stages.page.trace import Tracer
from stages.report.audit import LEAST_IOU, shown_garment, swapped

pytestmark = pytest.mark.slow
SOURCES = ("fashion_products", "deepfashion_mm")


@pytest.fixture(scope="module")
def tracer(demo):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(demo)
        yield Tracer(Profile(Path("data/demo")), Path("data/demo/raw"), load_params())


@pytest.fixture(scope="module")
def truth(demo):
    """Source -> item -> its garment; and source -> image -> all garments that it shows."""
    rows = {name: read_table(demo / f"data/demo/truth/{name}/garments.parquet").to_pylist() for name in SOURCES}
    images = {}
    for source, own in rows.items():
        for row in own:
            images.setdefault((source, row["image_id"]), []).append(row)
    return {(source, row["item"]): row for source, own in rows.items() for row in own if row["item"]}, images


@pytest.fixture(scope="module")
def twenty(tracer):
    """Labelled items of both sources, the first ten of each by hash of their id: with a crop or without."""
    return [(source, item) for source in SOURCES for item in sorted(tracer.profile.labels(source), key=digest)[:10]]


def test_twenty_rows_lead_to_the_file_that_was_drawn_and_to_its_line(tracer, truth, twenty, demo):
    garments, _ = truth
    for source, item in twenty:
        facts = tracer.crop(f"{source}:{item}")["facts"]
        garment = garments[source, item]
        assert facts["image_id"] == garment["image_id"]
        file = demo / facts["file"]
        assert file.stem == Path(garment["image_id"]).name
        assert hashlib.sha256(file.read_bytes()).hexdigest() == facts["image"]["sha256"]
        assert facts["upstream_lines"], item
        for one in facts["upstream_lines"]:
            with (demo / one["file"]).open(encoding="utf-8") as stream:
                assert item in list(stream)[one["line"] - 1]


def test_twenty_rows_have_the_labels_that_were_drawn(tracer, truth, twenty):
    garments, _ = truth
    told = 0
    for source, item in twenty:
        facts, garment = tracer.crop(f"{source}:{item}")["facts"], garments[source, item]
        assert garment["superclass"] in facts["labels"]["agrees"]  # a tank is among the tops, and may be found as vest
        for head in HEADS:
            if facts["labels"][head] is not None and not swapped(garment, head):
                assert facts["labels"][head] == garment[head], (item, head)
                told += 1
    assert told > 60


def test_twenty_rows_have_the_box_of_their_own_garment_and_its_rivals_are_of_others(tracer, truth, twenty):
    garments, images = truth
    right = boxes = 0
    for source, item in twenty:
        facts = tracer.crop(f"{source}:{item}")["facts"]
        match, here = facts["matching"], images[source, facts["image_id"]]
        assert len(match["rivals"]) + (match["taken"] is not None) >= match["candidates"]
        if match["outcome"] == "matched":
            boxes += 1
            own = here.index(garments[source, item])
            right += shown_garment(box_of(match["taken"]), here, LEAST_IOU) == own
        else:
            assert match["taken"] is None
    assert boxes >= 12 and right >= boxes - 1


def test_twenty_rows_are_in_the_split_that_the_hash_of_their_unit_says(tracer, truth, twenty):
    garments, images = truth
    for source, item in twenty:
        facts = tracer.crop(f"{source}:{item}")["facts"]
        decision = facts["decision"]
        assert hash_split(decision["unit"], tuple(decision["shares"])) == facts["split"]
        # A person's photos are one unit; drawn copies of a picture show the same garment.
        if person := garments[source, item]["person"]:
            same = [one for (name, _), one in garments.items() if name == source and one["person"] == person]
            assert decision["members"] >= sum((source, one["item"]) in tracer.profile.dataset for one in same)
        for other in facts["near"]:
            there = garments[tuple(other.split(":", 1))]
            kinds = [
                sorted(one["kind"] for one in images[source, row]) for row in (facts["image_id"], there["image_id"])
            ]
            assert kinds[0] == kinds[1]


def test_a_ranking_calls_right_what_was_drawn_as_the_same_garment(tracer, truth):
    garments, _ = truth
    queries = read_table(tracer.profile.data / "benchmarks/wardrobe/queries.parquet", columns=["row_id"])
    for row_id in sorted(queries["row_id"].to_pylist(), key=digest)[:20]:
        ranking = tracer.query(row_id, "classifier", "wardrobe")["ranking"]
        wanted = garments[tracer.profile.source_of("wardrobe", row_id)]["instance"]
        for one in ranking["results"]:
            assert one["correct"] == (garments[tuple(one["row_id"].split(":", 1))]["instance"] == wanted)
        scores = [one["score"] for one in ranking["results"]]
        assert scores == sorted(scores, reverse=True)
        first = [place for place, one in enumerate(ranking["results"], start=1) if one["correct"]][:1]
        if ranking["detected"] and first:
            assert ranking["match"]["rank"] == first[0]


def test_hit_at_1_of_all_traces_is_the_metric(tracer, demo):
    queries = read_table(tracer.profile.data / "benchmarks/wardrobe/queries.parquet", columns=["row_id"])
    hits = scored = 0
    for row_id in queries["row_id"].to_pylist():
        ranking = tracer.query(row_id, "classifier", "wardrobe")["ranking"]
        scored += ranking["matches"] > 0
        hits += bool(ranking["results"]) and ranking["results"][0]["correct"]
    metric = json.loads((demo / "metrics/demo/retrieval/classifier.json").read_text())["wardrobe"]["hit@1"]
    assert round(hits / scored, 6) == metric


def test_a_raw_file_leads_to_its_item_and_the_benchmarks_that_use_it(tracer):
    found = tracer.file("data/demo/raw/fashion_products/images/1163.jpg")
    assert found["facts"]["item_id"] == "1163" and found["facts"]["upstream_lines"][0]["line"] == 2
    first = read_table(tracer.profile.data / "benchmarks/inshop/queries.parquet", columns=["row_id"])["row_id"][
        0
    ].as_py()
    file = tracer.query(first, "classifier", "inshop")["facts"]["file"]
    assert any(use.startswith("inshop queries") for use in tracer.file(file)["uses"])


def test_a_reason_lists_every_row_that_was_rejected_for_it(tracer):
    found = tracer.reject("missing_image")
    accounts = tracer.profile.accounts["ingested"]
    wanted = sum(own.get("rejected", {}).get("missing_image", 0) for account in accounts.values()
                 for name, own in account.items() if name != "notes")  # fmt: skip
    assert sum(found["counts"].values()) == wanted > 0


def test_a_trace_is_one_screen_and_names_the_stages_with_their_hashes(tracer, twenty):
    lock = Path("dvc.lock").read_text()
    for source, item in twenty:
        found = tracer.crop(f"{source}:{item}")
        text = as_text(found)
        assert len(text.splitlines()) <= 50 and max(map(len, text.splitlines())) <= 200
        for one in found["made"]:
            assert one["stage"] and one["md5"] in lock


@pytest.mark.parametrize(("ask", "near"), [
    (lambda tracer: tracer.crop("fashion_products:116"), "fashion_products:1163"),
    (lambda tracer: tracer.query("nobody", "classifier", "wardrobe"), "-id_"),
    (lambda tracer: tracer.query("nobody", "clasifier", "wardrobe"), "classifier"),
    (lambda tracer: tracer.query("nobody", "classifier", "wardrob"), "wardrobe"),
    (lambda tracer: tracer.reject("missing"), "missing_image"),
    (lambda tracer: tracer.file("data/demo/raw/shoes/training/boots/image.jpg"), "training/boots/"),
    (lambda tracer: tracer.file("/etc/hostname"), "not below data/demo/raw"),
])  # fmt: skip
def test_an_id_that_is_not_there_is_one_message_with_the_nearest(tracer, ask, near):
    with pytest.raises(StageError, match="^.+$") as error:
        ask(tracer)
    assert near in str(error.value)


def test_command_prints_text_and_json(demo):
    asked = ("python", "-m", "stages.run", "trace", "crop", "fashion_products:1163")
    assert "made by" in succeed(*asked, cwd=demo)
    assert json.loads(succeed(*asked, "--json", cwd=demo))["facts"]["item_id"] == "1163"
    failed = run("python", "-m", "stages.run", "trace", "query", "1", cwd=demo)
    assert failed.returncode == 1 and "Benchmarks: " in failed.stderr and "Traceback" not in failed.stderr
