"""A suspect as a line for data/relabel.csv; its own module, so that `relabel` starts without torch."""

from typing import Any

from stages.contracts.tables import RELABEL


def correction_of(row: dict[str, Any]) -> dict[str, str]:
    """A row of the table of suspects as a line for data/relabel.csv."""
    reason = f"suspects {float(row['confidence']):.3f} by {row['reason']}, was {row['label']}"
    values = (row["source"], row["item_id"], row["head"], row["suggestion"], reason)
    return dict(zip(RELABEL, values, strict=True))
