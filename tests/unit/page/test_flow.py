"""The drawing of a source's flow."""

import pytest

from stages.contracts.ledger import Account
from stages.page.flow import drawing, steps
from stages.page.lookup import Profile


@pytest.fixture
def profile(tmp_path):
    account = Account("shop")
    for table, rows, reasons in (("images", 5, ["corrupt_image", "too_small", "too_small"]), ("items", 0, [])):
        ledger = account.ledger(table)
        ledger.rows_in, ledger.kept = rows, rows - len(reasons)
        for number, reason in enumerate(reasons):
            ledger.reject(str(number), reason)
    account.write(tmp_path / "ingested" / "shop")
    account = Account("shop")
    ledger = account.ledger("boxes")
    ledger.rows_in = ledger.kept = 2
    account.write(tmp_path / "boxes" / "shop")
    return Profile(tmp_path)


def test_steps_have_the_counts_of_the_ledgers_and_no_empty_table(profile):
    assert steps(profile, "shop") == [
        {"stage": "ingest", "ledgers": [
            {"table": "images", "in": 5, "kept": 2, "rejected": {"corrupt_image": 1, "too_small": 2}}]},
        {"stage": "boxes", "ledgers": [{"table": "boxes", "in": 2, "kept": 2, "rejected": {}}]},
    ]  # fmt: skip


def test_photos_that_the_salient_network_saw_are_a_step_before_the_boxes(tmp_path):
    (tmp_path / "ingested").mkdir()
    account = Account("shop")
    for table, rows, reason in (("salient", 3, "unsure_mask"), ("boxes", 2, "")):
        ledger = account.ledger(table)
        ledger.rows_in, ledger.kept = rows, rows - bool(reason)
        if reason:
            ledger.reject("1.jpg", reason)
    account.write(tmp_path / "boxes" / "shop")
    assert steps(Profile(tmp_path), "shop") == [
        {"stage": "salient", "ledgers": [{"table": "photos", "in": 3, "kept": 2, "rejected": {"unsure_mask": 1}}]},
        {"stage": "boxes", "ledgers": [{"table": "boxes", "in": 2, "kept": 2, "rejected": {}}]},
    ]


def test_drawing_says_what_came_in_and_what_was_rejected_inside_its_frame(profile):
    drawn = drawing(profile, "shop")
    texts = [text["text"] for text in drawn["texts"]]
    assert texts == ["5 images", "− 1 corrupt image (images)", "− 2 too small (images)", "2 boxes", "all kept",
                     "used by detector shop"]  # fmt: skip
    assert drawn["words"].startswith("ingest: 5 images; − 1 corrupt image (images)")
    assert all(box["y"] + box["h"] <= drawn["height"] for box in drawn["boxes"])
    assert all(text["y"] <= drawn["height"] for text in drawn["texts"])
