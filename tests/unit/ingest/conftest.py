"""Small upstream trees, and what a reader leaves out of them."""

import pytest
from trees import tree

__all__ = ["tree"]


@pytest.fixture
def rejects():
    """(table, key, reason) of everything an account has rejected."""

    def rows(account):
        return [
            (table, row.key, row.reason) for table, ledger in sorted(account.ledgers.items()) for row in ledger.rejects
        ]

    return rows
