"""Small upstream trees, and what a reader leaves out of them."""

import pytest
from trees import upstream_tree


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Tools to draw an upstream tree below ``tree.root``, to read it, and to run the whole stage on it."""
    monkeypatch.setenv("SEAMLINE_WORKERS", "1")  # starting processes takes seconds; one test asks for two
    return upstream_tree(tmp_path)


@pytest.fixture
def rejects():
    """(table, key, reason) of everything an account has rejected."""

    def rows(account):
        return [
            (table, row.key, row.reason) for table, ledger in sorted(account.ledgers.items()) for row in ledger.rejects
        ]

    return rows
