"""The ledgers of a profile, data/<profile>/<stage>/<item>/account.json, side by side, and the conservation law."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json


def check_conservation(accounts: dict[str, Any], where: str = "") -> int:
    """Number of ledgers in which rows in = rows kept + rows rejected.

    Raises:
        StageError: naming the first ledger in which it does not hold.
    """
    if "rows_in" in accounts:
        out = accounts["rows_kept"] + sum(accounts["rejected"].values())
        if accounts["rows_in"] != out:
            raise StageError(f"{where.strip('/')}: {accounts['rows_in']} rows in, but {out} kept or rejected.")
        return 1
    inner = {key: value for key, value in accounts.items() if isinstance(value, dict) and key != "notes"}
    return sum(check_conservation(value, f"{where}/{key}") for key, value in inner.items())


def collect(data: Path, lists: Mapping[str, list[str]]) -> dict[str, Any]:
    """stage -> item -> table -> rows_in, rows_kept, rejected by reason, repaired; ``dataset`` has no items.

    Args:
        data: the profile's data folder.
        lists: stage -> its items.
    """
    accounts: dict[str, Any] = {
        stage: {item: read_json(data / stage / item / "account.json") for item in sorted(items)}
        for stage, items in lists.items()
    }
    return accounts | {"dataset": read_json(data / "dataset" / "account.json")}


def totals(accounts: dict[str, Any]) -> dict[str, int]:
    """rows_in, rows_kept and rejected over all ledgers: a row counts in each stage that sees it."""
    if "rows_in" in accounts:
        rejected = sum(accounts["rejected"].values())
        return {"rows_in": accounts["rows_in"], "rows_kept": accounts["rows_kept"], "rejected": rejected}
    inner = [totals(value) for key, value in accounts.items() if isinstance(value, dict) and key != "notes"]
    return {name: sum(one[name] for one in inner) for name in ("rows_in", "rows_kept", "rejected")}
