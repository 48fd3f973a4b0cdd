"""managedFields as they are read and written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.writes.managed_fields import APPLY, UPDATE, Manager, Ownership, owners_of, with_owners

PATHS = st.lists(st.sampled_from(["f:a", "f:b", 'v:"x"']), min_size=1, max_size=3).map(tuple)
MANAGERS = st.builds(
    Manager.of,
    st.sampled_from(["one", "two"]),
    st.sampled_from([APPLY, UPDATE]),
    st.just("v1"),
    st.sampled_from(["", "status"]),
)
OWNERSHIPS = st.builds(Ownership, st.frozensets(PATHS, min_size=1), st.sampled_from(["t1", "t2"]), st.just("v1"))


@given(st.dictionaries(MANAGERS, OWNERSHIPS))
def test_owners_survive_the_document(owners: dict[Manager, Ownership]) -> None:
    assert owners_of(with_owners({"metadata": {"name": "web"}}, owners)) == owners


def test_appliers_come_first_then_the_oldest() -> None:
    fields = frozenset({("f:a",)})
    owners = {
        Manager.of("new", UPDATE, "v1"): Ownership(fields, "t3", "v1"),
        Manager.of("old", UPDATE, "v1"): Ownership(fields, "t1", "v1"),
        Manager.of("applier", APPLY, "v1"): Ownership(fields, "t2", "v1"),
        Manager.of("nothing", UPDATE, "v1"): Ownership(frozenset(), "t0", "v1"),
    }
    entries = with_owners({"metadata": {}}, owners)["metadata"]["managedFields"]
    assert [entry["manager"] for entry in entries] == ["applier", "old", "new"]


def test_without_owners_there_is_no_list() -> None:
    document = {"metadata": {"name": "web", "managedFields": [{"manager": "gone"}]}}
    assert with_owners(document, {}) == {"metadata": {"name": "web"}}


@pytest.mark.parametrize("entry", ["text", {}, {"operation": "Patch"}, {"operation": "Apply", "fieldsV1": {"f:a": 1}}])
def test_what_is_no_entry_is_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match=r"entry|tree"):
        owners_of({"metadata": {"managedFields": [entry, {}]}})
