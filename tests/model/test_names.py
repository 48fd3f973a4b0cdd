"""Name syntax against the words of the RFCs, and the API's messages."""

import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.names import (
    dns_label_messages,
    dns_subdomain_messages,
    domain_name_messages,
    label_value_messages,
    port_name_messages,
    qualified_name_messages,
)

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
KEY_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    " (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
TOO_LONG = "must be no more than 63 bytes"
NEAR_NAMES = st.text(st.sampled_from("aZ0-._/é\n"), max_size=70)


@pytest.mark.parametrize(
    ("rule", "value", "messages"),
    [
        (dns_label_messages, "my-name", []),
        (dns_label_messages, "1a", []),
        (dns_label_messages, "", [LABEL_RULE]),
        (dns_label_messages, "My", [LABEL_RULE]),
        (dns_label_messages, "a-", [LABEL_RULE]),
        (dns_label_messages, "a\n", [LABEL_RULE]),
        (dns_label_messages, "a.b", ["must not contain dots"]),
        (dns_label_messages, "a" * 64, [TOO_LONG]),
        (dns_subdomain_messages, "example.com", []),
        (dns_subdomain_messages, "a..b", [SUBDOMAIN_RULE]),
        (dns_subdomain_messages, "a" * 254, ["must be no more than 253 bytes"]),
        (domain_name_messages, "example.com.", []),
        (domain_name_messages, "Example.com", [SUBDOMAIN_RULE]),
        (domain_name_messages, "localhost", ["should be a domain with at least two segments separated by dots"]),
        (domain_name_messages, "a" * 64 + ".b", [TOO_LONG]),
        (port_name_messages, "http-8", []),
        (port_name_messages, "a" * 16, ["must be no more than 15 bytes"]),
        (
            port_name_messages,
            "HTTP",
            [
                "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
                "must contain at least one letter (a-z)",
            ],
        ),
        (port_name_messages, "80", ["must contain at least one letter (a-z)"]),
        (port_name_messages, "a--b", ["must not contain consecutive hyphens"]),
        (port_name_messages, "-a", ["must not begin or end with a hyphen"]),
        (qualified_name_messages, "svcproxy.io/weight", []),
        (qualified_name_messages, "app", []),
        (qualified_name_messages, "", ["name part must be non-empty", f"name part {KEY_RULE}"]),
        (qualified_name_messages, "/app", ["prefix part must be non-empty"]),
        (qualified_name_messages, "A/app", [f"prefix part {SUBDOMAIN_RULE}"]),
        (qualified_name_messages, "a" * 64, [f"name part {TOO_LONG}"]),
        (
            qualified_name_messages,
            "a/b/c",
            [f"a valid label key {KEY_RULE} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"],
        ),
        (label_value_messages, "", []),
        (label_value_messages, "v1.2_3", []),
        (label_value_messages, "a b", [VALUE_RULE]),
        (label_value_messages, "a" * 64, [TOO_LONG]),
        (label_value_messages, "é" * 32, [TOO_LONG, VALUE_RULE]),
    ],
)
def test_says_what_the_api_server_says(rule: Callable[[str], list[str]], value: str, messages: list[str]) -> None:
    assert rule(value) == messages


@given(NEAR_NAMES)
def test_a_dns_label_is_lower_case_letters_digits_and_inner_hyphens(value: str) -> None:
    letters = set(string.ascii_lowercase + string.digits)
    good = 0 < len(value) <= 63 and set(value) <= letters | {"-"} and {value[0], value[-1]} <= letters
    assert (dns_label_messages(value) == []) is good


@given(NEAR_NAMES)
def test_a_subdomain_is_dns_labels_between_dots_of_any_length(value: str) -> None:
    good = all(messages in ([], [TOO_LONG]) for messages in map(dns_label_messages, value.split(".")))
    assert (dns_subdomain_messages(value) == []) is good


@given(NEAR_NAMES)
def test_a_label_value_is_a_qualified_name_without_a_prefix_or_nothing(value: str) -> None:
    good = not value or ("/" not in value and qualified_name_messages(value) == [])
    assert (label_value_messages(value) == []) is good
