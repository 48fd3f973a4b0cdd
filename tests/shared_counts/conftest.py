"""A table of three columns for the tests of this folder."""

from collections.abc import Iterator

import pytest

from proxy.shared_counts.table import SharedTable


@pytest.fixture
def table() -> Iterator[SharedTable]:
    created = SharedTable.create(3)
    yield created
    created.close()
