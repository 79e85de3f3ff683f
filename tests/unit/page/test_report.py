"""The page of a profile that has little: what is left out, what is escaped, equal bytes."""

import base64
import io
import json
import re
from argparse import Namespace
from types import SimpleNamespace

import pytest
from PIL import Image

from stages.contracts.ledger import Account
from stages.contracts.tables import IMAGES, OBJECTS, write_rows, write_shards
from stages.core.errors import StageError
from stages.core.files import write_json
from stages.page import report
from stages.page.report import embedded, main

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
                 "No classifier was scored in this profile.", "The ablation was not run in this profile"):  # fmt: skip
        assert said in text
    assert "images" in text and "− 1 near duplicate (images)" in text


def test_leakage_says_its_counts_and_shows_the_suspects_that_a_person_has_to_look_at(little):
    main(little.args, SimpleNamespace())
    assert "seen in training" not in (little.args.out / "index.html").read_text(encoding="utf-8")
    write_json(little.args.metrics / "leakage.json", {"held_out": 9, "seen": 2, "rows": 7, "same_item": 3})
    (little.data / "report" / "leakage").mkdir(parents=True)
    (little.data / "report" / "leakage" / "same_item.jpg").write_bytes(jpeg("blue"))
    main(little.args, SimpleNamespace())
    text = (little.args.out / "index.html").read_text(encoding="utf-8")
    assert "2 of 9 held-out pictures" in text and "3 held-out garments of 7" in text
    assert base64.b64encode(jpeg("blue")).decode() in text and "They remove no row" in text


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


def test_page_that_is_too_large_shows_less_and_then_is_one_message(little, monkeypatch):
    shares = []
    context = report.context
    monkeypatch.setattr(report, "context", lambda *paths: shares.append(paths[-1]) or context(*paths))
    monkeypatch.setattr(report, "LARGEST", 100)
    with pytest.raises(StageError, match="more than 100. List fewer encoders"):
        main(little.args, SimpleNamespace())
    assert shares == [1.0, 0.5, 0.25, 0.125]
