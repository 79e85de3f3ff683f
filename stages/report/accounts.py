"""Collect every account.json of the profile and check the conservation law once more.

Reads:  data/<profile>/{ingested,boxes,labels,crops}/<item>/account.json for the items that params list, and
        data/<profile>/dataset/account.json.
Writes: one JSON: stage -> item -> table -> rows_in, rows_kept, rejected by reason, repaired.
Params: sources, detectors, label_sources.
"""

import argparse
from types import SimpleNamespace
from typing import Any

from stages.core.errors import StageError
from stages.core.files import read_json, write_json
from stages.core.params import load_params, lookup
from stages.runner.progress import say
from stages.runner.stage import Report, Stage

LISTS = {"ingested": "sources", "boxes": "detectors", "labels": "label_sources", "crops": "label_sources"}


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


def main(args: argparse.Namespace, params: SimpleNamespace) -> Report:
    """Collect, check, write."""
    content = load_params()
    accounts: dict[str, Any] = {
        stage: {item: read_json(args.data / stage / item / "account.json") for item in sorted(lookup(content, listed))}
        for stage, listed in LISTS.items()
    }
    accounts["dataset"] = read_json(args.data / "dataset" / "account.json")
    ledgers = check_conservation(accounts)
    write_json(args.out, accounts)
    say(f"accounts: {ledgers} ledgers, rows in = rows kept + rows rejected in each")
    return Report(metrics={"ledgers": ledgers})


STAGE = Stage(main, ["data", "out"], {})
