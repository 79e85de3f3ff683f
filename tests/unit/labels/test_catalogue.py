"""The policy of a catalogue on small item tables as ingest gives them."""

import pandas as pd
import pytest
from small import rejects

from stages.contracts.ledger import Account
from stages.core.errors import StageError
from stages.labels import catalogue


def snapshots(*labels: str) -> pd.DataFrame:
    rows = [
        {"item_id": f"p{n}", "image_id": f"p{n}", "label": name, "split": "test", "group_id": "s1", "cluster": f"p{n}"}
        for n, name in enumerate(labels)
    ]
    return pd.DataFrame(rows, dtype="str")


def test_catalogue_label_is_the_type_and_its_table_gives_the_superclass(tables, params):
    account = Account("photos")
    labels = catalogue.label(snapshots("Longsleeve", "Not sure", "Hat", "Skip"), tables, params, account)
    assert list(labels["type"]) == ["Longsleeve", "Hat"]
    assert list(labels["superclass"]) == ["top", "headwear"]
    assert list(labels["agrees"]) == [["top"], ["headwear"]]
    assert list(labels["group_id"]) == ["s1", "s1"]
    assert rejects(account) == {"p1": ("not_a_garment", "label Not sure"), "p3": ("not_a_garment", "label Skip")}


def test_catalogue_label_outside_the_table_is_one_message(tables, params):
    with pytest.raises(StageError) as error:
        catalogue.label(snapshots("Hat", "Spacesuit"), tables, params, Account("photos"))
    message = str(error.value)
    assert "label Spacesuit is not in" in message
    assert "clothing_dataset_labels.csv" in message
    assert "Longsleeve" in message
    assert "Add a line" in message


def test_catalogue_without_a_label_table_is_one_message(tables, params):
    with pytest.raises(StageError, match=r"labels\.catalogues` has no label table for source 'wardrobe'.*photos"):
        catalogue.label(snapshots("Hat"), tables, params, Account("wardrobe"))
