"""The project's own tables, params as in the demo profile, and small ingested folders as ingest writes them."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from places import TABLES

from stages.contracts.ledger import Account
from stages.contracts.tables import IMAGES, write_rows, write_shards
from stages.labels.merging import LabelTables, read_label_tables
from stages.labels.params import LabelParams


@pytest.fixture(scope="session")
def tables() -> LabelTables:
    return read_label_tables(TABLES)


@pytest.fixture
def params() -> LabelParams:
    return LabelParams.model_validate(
        {
            "policies": {
                "fashion_products": "fashion_products",
                "deepfashion_mm": "deepfashion_mm",
                "photos": "catalogue",
            },
            "gender_policy": "drop_row",
            "group_superclass": {"Topwear": "top"},
            "catalogues": {"photos": {"table": "clothing_dataset_labels.csv", "label_column": "label"}},
        }
    )


@pytest.fixture
def account() -> Account:
    return Account("source")


@pytest.fixture
def relabel(tmp_path: Path):
    """A corrections file with the given lines below its header."""

    def write(*lines: str) -> Path:
        path = tmp_path / "relabel.csv"
        path.write_text("\n".join(["source,item_id,column,value,reason", *lines]) + "\n", encoding="utf-8")
        return path

    return write


@pytest.fixture
def ingested(tmp_path: Path):
    """A folder with items.parquet and shards; each item's image has split train and itself as group and cluster."""

    def write(source: str, items: list[dict[str, str | None]], group_of: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "ingested" / source
        images = [
            {
                "image_id": image_id,
                "source": source,
                "split": "train",
                "group_id": (group_of or {}).get(image_id, f"group of {image_id}"),
                "cluster": f"cluster of {image_id}",
                "width": 1,
                "height": 1,
                "sha256": "",
                "fingerprint": f"fingerprint of {image_id}".encode(),
                "bytes": b"",
            }
            for image_id in sorted({row["image_id"] for row in items})
        ]
        write_shards(folder, IMAGES, images, "image_id", 2)
        columns = pd.DataFrame(items).columns if items else ["item_id", "image_id"]
        schema = pa.schema([(name, pa.string()) for name in columns])
        write_rows(folder / "items.parquet", schema, items)
        return folder

    return write
