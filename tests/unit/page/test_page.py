"""The page of a profile that has little, and the small things that it is made of, by hand."""

import io
import json
import re
from argparse import Namespace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from stages.contracts.ledger import Account
from stages.contracts.tables import IMAGES, OBJECTS, write_rows, write_shards
from stages.core.errors import StageError
from stages.page import charts, garments, numbers
from stages.page.gallery import flat
from stages.page.lookup import Profile, named_by, nearest_ids, unknown
from stages.page.report import embedded, main
from stages.page.upstream import image_file, lines_about

HOSTILE = "</script><img src=x onerror=alert(1)>&\u2028"
PUBLISHED = (
    'system,encoder,benchmark,metric,value,value_high,source,note\n"<b>Theirs</b>",,inshop,hit_at_1,.5,.6,A & B,\n'
)


def jpeg(color):
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def little(tmp_path):
    """A profile with one source, two images, one of them rejected, all names hostile: no labels, no encoders."""
    data = tmp_path / "data" / "little"
    folder = data / "ingested" / "shop"
    row = {"source": "shop", "split": "train", "group_id": "g", "cluster": HOSTILE, "width": 40, "height": 30,
           "sha256": "ab" * 32, "fingerprint": b""}  # fmt: skip
    write_shards(folder, IMAGES, [{**row, "image_id": HOSTILE, "bytes": jpeg("red")}], "image_id", 1)
    write_rows(folder / "objects.parquet", OBJECTS, [])
    account = Account("shop")
    ledger = account.ledger("images")
    ledger.rows_in, ledger.kept = 2, 1
    ledger.reject(f"images/{HOSTILE}", "near_duplicate", HOSTILE)
    account.write(folder)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "published.csv").write_text(PUBLISHED)
    return SimpleNamespace(
        data=data,
        args=Namespace(
            data=data, metrics=tmp_path / "metrics", models=tmp_path / "models",
            published=tmp_path / "published.csv", out=tmp_path / "out",
        ),
    )  # fmt: skip


def test_parts_that_a_profile_lacks_are_left_out_with_a_word(little):
    main(little.args, SimpleNamespace())
    text = (little.args.out / "index.html").read_text(encoding="utf-8")
    for said in ("This profile has no detector.", "No encoder was scored in this profile.",
                 "No classifier was scored in this profile.", "The ladder was not run in this profile"):  # fmt: skip
        assert said in text
    assert "images" in text and "− 1 near duplicate (images)" in text


def test_hostile_names_are_text_everywhere(little):
    main(little.args, SimpleNamespace())
    text = (little.args.out / "index.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text and "alert(1)>" not in text
    assert "&lt;/script&gt;" in text
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])
    assert f"photo:shop:{HOSTILE}" in data["pic"] and len(data["pics"]) == 1


def test_page_of_equal_tables_is_equal_to_the_byte(little):
    pages = []
    for _ in range(2):
        main(little.args, SimpleNamespace())
        pages.append((little.args.out / "index.html").read_bytes())
    assert pages[0] == pages[1]


def test_data_comes_back_from_a_script_element_as_it_was():
    content = {"a": [HOSTILE, "<!--", 1.5, None]}
    text = str(embedded(content))
    assert json.loads(text) == content and not set("<>&\u2028") & set(text)


def test_profile_that_was_not_ingested_is_one_message(tmp_path):
    with pytest.raises(StageError, match="run `dvc repro`"):
        Profile(tmp_path)


@pytest.mark.parametrize(("key", "names"), [
    ("styles.csv:12", {"styles.csv:12", "styles.csv", "12"}),
    ("images/a/b.jpg", {"images/a/b.jpg", "a/b.jpg", "b.jpg", "b"}),
    ("1163", {"1163"}),
])  # fmt: skip
def test_keys_of_ledgers_name_ids(key, names):
    assert names <= named_by(key)


def test_nearest_ids_hold_the_wanted_or_are_spelled_alike(tmp_path):
    known = ["shoes:1", "shoes:12", "hats:7"]
    assert nearest_ids("oes:1", known)[:2] == ["shoes:1", "shoes:12"]
    assert "Nearest: shoes:1" in str(unknown("crop", "shoos:1", known, tmp_path))
    assert "none, the table is empty" in str(unknown("crop", "x", [], tmp_path))


def test_map_puts_the_first_component_across_and_is_the_same_each_time():
    # Four points on a line and a little off it: the line goes across, from one edge to the other.
    vectors = np.array([[0, 0, 0], [10, 0, 0.1], [20, 0, -0.1], [30, 0, 0]], float)
    places = flat(vectors)
    xs = [x for x, _ in places]
    assert sorted(xs) in ([12, 204, 396, 588], xs) and {min(xs), max(xs)} == {12, 588}
    assert abs(xs[1] - xs[0]) == pytest.approx(192, abs=1) and places == flat(vectors)


def test_map_of_equal_vectors_and_of_two_is_no_error():
    assert flat(np.ones((5, 4))) == [[300.0, 270.0]] * 5
    assert flat(np.zeros((2, 4))) == [[300.0, 270.0]] * 2


@pytest.mark.parametrize(
    ("ends", "axis"), [((0.1, 0.93), (0, 1, 0.5)), ((3, 17), (0, 20, 5)), ((2, 2), (1.5, 2.5, 0.5))]
)
def test_axes_have_round_numbers_that_hold_the_values(ends, axis):
    assert charts.nice(*ends) == pytest.approx(axis)


def test_cells_of_a_matrix_count_and_name_what_they_open():
    rows = [("a", "a", "1", ""), ("a", "b", "2", "b .9"), ("a", "b", "3", ""), ("background", "a", "4", "")]
    cells = {}
    found = garments.matrix("head", rows, cells)
    assert found["classes"] == ["a", "b", "background"]
    right, wrong, none = found["lines"][0]["cells"]
    assert (right["n"], right["diag"], wrong["n"], wrong["diag"], none) == (1, True, 2, False, None)
    assert wrong["said"] == "a taken for b: 2 of 3 (67%)"
    assert sorted(cells[wrong["cell"]]) == [["2", "b .9"], ["3", ""]]


def test_boxes_say_in_words_and_signs_whether_they_are_right():
    found = {"superclass": "top", "confidence": 0.9, "x1": 1, "y1": 2, "x2": 4, "y2": 8}
    assert garments.scored_box({**found, "actual": "top"}) == {
        "x": 1, "y": 2, "w": 3, "h": 6, "kind": "right", "text": "✓ top 0.90",
    }  # fmt: skip
    assert garments.scored_box({**found, "actual": "background"})["text"] == "✗ top 0.90, is nothing"
    missed = {"superclass": "background", "actual": "top", **{f"actual_{key}": value for key, value in found.items()}}
    assert garments.scored_box(missed)["text"] == "… missed top"


def test_published_systems_stand_below_ours_and_the_best_of_ours_is_marked(tmp_path):
    for name, value in (("one", 0.4), ("two", 0.7), ("chance", 0.9)):
        path = tmp_path / "retrieval" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"inshop": {"hit@1": value}}))
    spread = {"retrieval/one": {"inshop.hit@1": {"min": 0.3, "max": 0.5}}}
    (tmp_path / "seeds.json").write_text(json.dumps({"seeds": [0, 1, 2], "metrics": spread}))
    (tmp_path / "published.csv").write_text(PUBLISHED)
    table = numbers.retrieval(tmp_path, numbers.Seeds(tmp_path), numbers.published(tmp_path / "published.csv"))
    lines = {line["name"]: line["cells"][0] for line in table["lines"]}
    assert list(lines) == ["one", "two", "chance", "<b>Theirs</b> (published)"]
    assert lines["one"] == {"value": "0.400", "seeds": "0.300–0.500", "best": False}
    assert lines["two"]["best"] and not lines["chance"]["best"]
    assert lines["<b>Theirs</b> (published)"]["value"] == "0.500–0.600"


def test_upstream_lines_name_the_id_as_a_word(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("12.jpg", "112.jpg"):
        (tmp_path / "images" / name).write_bytes(b"")
    (tmp_path / "list.csv").write_text("id,name\n112,a\n12,b\n7,x12\n")
    (tmp_path / "12.xml").write_text("<a/>")
    found = [(one["file"].name, one["line"]) for one in lines_about(tmp_path, ["12"])]
    assert found == [("12.xml", 1), ("list.csv", 3)]
    assert image_file(tmp_path, "12") == tmp_path / "images" / "12.jpg"
    assert image_file(tmp_path, "13") is None
