"""Small sections of params.yaml and small data sets that several unit tests share."""

import pyarrow as pa

from stages.contracts.tables import write_rows

PLAIN_RUNTIME = {
    "threads": 1, "deterministic": True, "pin_instruction_set": False, "precision": "float32", "channels_last": False,
    "compile": False, "processes": 1, "engine": "local", "gpus": 0.0,
}  # fmt: skip
SIMCLR = {
    "backbone": "test_resnet", "weights": "none", "image_size": 32, "epochs": 4, "batch": 6, "loss": "nt_xent",
    "temperature": 0.1, "projection_hidden": 32, "projection_out": 16,
    "learning_rate": 0.05, "momentum": 0.9, "weight_decay": 0.0005,
    "geometry": {"flip": 0.5, "rotation": 10, "min_scale": 0.8, "mask": 0.2, "mask_share": 0.1},
    "color": dict.fromkeys(("probability", "brightness", "contrast", "saturation", "hue", "grayscale"), 0.0),
    "keep": "last", "knn_every": 1, "knn_k": 1, "knn_head": "type", "seed": 0,
}  # fmt: skip


def write_dataset(folder, rows):
    """A data set of one shard whose columns are those of the rows: ``bytes`` is binary, the others are text."""
    schema = pa.schema([(name, pa.binary() if name == "bytes" else pa.string()) for name in rows[0]])
    write_rows(folder / "shard-0000.parquet", schema, rows)


def write_types(folder, crops):
    """A data set of the crops as training split and again as validation split, with three types in turn."""
    write_dataset(folder, [
        {"crop_id": f"{number:02}", "bytes": data, "split": split, "type": "abc"[number % 3]}
        for split in ("train", "val") for number, data in enumerate(crops)
    ])  # fmt: skip


def rejects(account):
    """Key -> reason and detail of the items that an account has rejected."""
    return {row.key: (row.reason, row.detail) for row in account.ledger("items").rejects}
