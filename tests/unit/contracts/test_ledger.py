"""The conservation law and the files that prove it."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest

from stages.contracts.ledger import REASONS, Account


def account():
    result = Account("shoes")
    images = result.ledger("images")
    images.rows_in, images.kept = 4, 2
    images.reject("a.jpg", "corrupt_image", "a.jpg: broken")
    images.reject("b.jpg", "too_small", (3, 4))
    images.repair("c.jpg", "format", "PNG")
    objects = result.ledger("objects")
    objects.rows_in, objects.kept = 1, 0
    objects.reject("x.json:1", "malformed_box")
    return result


def test_account_holds_counts_by_reason(tmp_path):
    account().write(tmp_path)
    assert json.loads((tmp_path / "account.json").read_text()) == {
        "images": {
            "rows_in": 4,
            "rows_kept": 2,
            "rejected": {"corrupt_image": 1, "too_small": 1},
            "repaired": {"format": 1},
        },
        "objects": {"rows_in": 1, "rows_kept": 0, "rejected": {"malformed_box": 1}, "repaired": {}},
    }


def test_rejects_table_names_source_table_key_reason_and_detail(tmp_path):
    account().write(tmp_path)
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "rejects.parquet").to_pylist()] == [
        ("shoes", "images", "a.jpg", "corrupt_image", "a.jpg: broken"),
        ("shoes", "images", "b.jpg", "too_small", "(3, 4)"),
        ("shoes", "objects", "x.json:1", "malformed_box", ""),
    ]


def test_repairs_table_names_source_table_key_and_what_in_the_order_of_recording(tmp_path):
    result = account()
    result.ledger("images").repair("a.jpg", "mode", ("L", 8))
    result.write(tmp_path)
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "repairs.parquet").to_pylist()] == [
        ("shoes", "images", "c.jpg", "format", "PNG"),
        ("shoes", "images", "a.jpg", "mode", "('L', 8)"),
    ]
    assert pq.read_schema(tmp_path / "repairs.parquet").names == ["source", "table", "key", "what", "detail"]


def test_ledger_of_an_earlier_stage_is_carried_with_its_rejects_and_no_other(tmp_path):
    account().write(tmp_path / "earlier")
    later = Account("shoes detector")
    later.carry(tmp_path / "earlier", "objects")
    later.carry(tmp_path / "earlier", "items")
    later.carry(tmp_path / "nothing", "objects")
    later.write(tmp_path)
    assert json.loads((tmp_path / "account.json").read_text()) == {
        "objects": {"rows_in": 1, "rows_kept": 0, "rejected": {"malformed_box": 1}, "repaired": {}}
    }
    rejects = pq.read_table(tmp_path / "rejects.parquet").to_pylist()
    assert [(row["table"], row["key"], row["reason"]) for row in rejects] == [("objects", "x.json:1", "malformed_box")]


def test_repairs_are_counted_by_kind():
    ledger = Account("x").ledger("objects")
    for key, what in (("a", "clipped"), ("b", "reversed"), ("c", "clipped")):
        ledger.repair(key, what)
    assert ledger.repaired == {"clipped": 2, "reversed": 1}


@pytest.mark.parametrize("lost", [1, -1])
def test_row_lost_or_counted_twice_is_an_assertion_error(tmp_path, lost):
    broken = account()
    broken.ledger("images").rows_in += lost
    with pytest.raises(AssertionError, match="shoes, images"):
        broken.write(tmp_path)
    assert not (tmp_path / "account.json").exists()


def test_reason_outside_the_vocabulary_is_refused():
    with pytest.raises(KeyError, match="bad_luck"):
        Account("shoes").ledger("images").reject("a", "bad_luck")
    assert all(text for text in REASONS.values())


def test_notes_are_written_beside_the_ledgers(tmp_path):
    result = Account("x")
    result.note("unknown colors", Counter({"Silver": 2, "Bronze": 1}))
    result.write(tmp_path)
    assert json.loads((tmp_path / "account.json").read_text()) == {
        "notes": {"unknown colors": {"Bronze": 1, "Silver": 2}}
    }


def test_log_lines_hold_the_counts():
    assert account().lines()[0] == "shoes: 4 images in, 2 kept, 1 corrupt_image, 1 too_small, repaired: 1 format"
