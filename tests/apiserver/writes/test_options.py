"""Options of writes, as clients of every kind send them."""

import pytest

from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.options import DeleteOptions, WriteOptions, delete_options, write_options


def test_a_client_that_names_no_manager_is_known_by_its_user_agent() -> None:
    assert write_options({}, "curl/8.0 (linux)") == WriteOptions(field_manager="curl")
    assert write_options({}, "").field_manager == "unknown"
    assert write_options({"fieldManager": "me"}, "curl/8.0").field_manager == "me"


def test_every_option_is_read() -> None:
    query = {"fieldManager": "me", "dryRun": "All", "fieldValidation": "Strict", "force": "true"}
    assert write_options(query, "") == WriteOptions("me", dry_run=True, field_validation="Strict", force=True)


@pytest.mark.parametrize("query", [{"dryRun": "Some"}, {"fieldValidation": "strict"}])
def test_a_value_that_there_is_not_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(StatusError, match="Unsupported value"):
        write_options(query, "")


@pytest.mark.parametrize(
    ("query", "body", "options"),
    [
        ({}, None, DeleteOptions()),
        ({"dryRun": "All"}, None, DeleteOptions(dry_run=True)),
        ({}, {"dryRun": ["All"], "propagationPolicy": "Background"}, DeleteOptions(dry_run=True)),
        ({}, {"preconditions": {"uid": "u", "resourceVersion": "5"}}, DeleteOptions("u", "5")),
        ({"gracePeriodSeconds": "5"}, {"gracePeriodSeconds": 7}, DeleteOptions(grace_seconds=5)),
        ({}, {"gracePeriodSeconds": 0}, DeleteOptions(grace_seconds=0)),
        ({}, {"preconditions": "nonsense"}, DeleteOptions()),
    ],
)
def test_how_to_delete_is_read_from_query_and_body(
    query: dict[str, str], body: dict[str, object] | None, options: DeleteOptions
) -> None:
    assert delete_options(query, body) == options


@pytest.mark.parametrize(
    ("text", "flag"), [("true", True), ("True", True), ("1", True), ("", True), ("0", False), ("False", False)]
)
def test_flags_are_true_unless_they_say_otherwise(text: str, flag: bool) -> None:
    assert query_flag({"watch": text}, "watch") is flag
    assert not query_flag({}, "watch")
