"""Names: the syntax that the Kubernetes API asks of names, labels and ports, and its words when it is not met.

Invariant: each function returns the API's messages in its order, none for a good value; they follow
k8s.io/apimachinery/pkg/util/validation and pkg/api/validate/content of 1.36, byte for byte.
"""

import re

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_PATTERN = re.compile(_LABEL)
_SUBDOMAIN_PATTERN = re.compile(_SUBDOMAIN)
_QUALIFIED_PATTERN = re.compile(_QUALIFIED)
_QUALIFIED_RULE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)


def dns_label_messages(value: str) -> list[str]:
    """RFC 1123 label: the names of Services, namespaces and Service ports."""
    messages = _too_long(value, 63)
    if _LABEL_PATTERN.fullmatch(value):
        return messages
    if _SUBDOMAIN_PATTERN.fullmatch(value):
        return [*messages, "must not contain dots"]
    rule = (
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end"
        " with an alphanumeric character"
    )
    return [*messages, _regex_message(rule, _LABEL, "my-name", "123-abc")]


def dns_subdomain_messages(value: str) -> list[str]:
    """RFC 1123 subdomain: the names of most other objects, and host names."""
    messages = _too_long(value, 253)
    if not _SUBDOMAIN_PATTERN.fullmatch(value):
        rule = (
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must"
            " start and end with an alphanumeric character"
        )
        messages.append(_regex_message(rule, _SUBDOMAIN, "example.com"))
    return messages


def domain_name_messages(value: str) -> list[str]:
    """Fully qualified domain name of at least two labels, a trailing dot allowed; `value` is not empty."""
    name = value.removesuffix(".")
    messages = dns_subdomain_messages(name)
    if messages:
        return [",".join(messages)]
    labels = name.split(".")
    if len(labels) < 2:
        return ["should be a domain with at least two segments separated by dots"]
    return [",".join(problems) for problems in map(dns_label_messages, labels) if problems]


def port_name_messages(value: str) -> list[str]:
    """IANA service name (RFC 6335), lower case: the name of a container's port."""
    messages = _too_long(value, 15)
    if not re.fullmatch("[-a-z0-9]+", value):
        messages.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", value):
        messages.append("must contain at least one letter (a-z)")
    if "--" in value:
        messages.append("must not contain consecutive hyphens")
    if value.startswith("-") or value.endswith("-"):
        messages.append("must not begin or end with a hyphen")
    return messages


def qualified_name_messages(value: str) -> list[str]:
    """Label key: a name with an optional DNS subdomain and `/` before it."""
    prefix, slash, name = value.partition("/")
    if not slash:
        return _name_part_messages(value)
    if "/" in name:
        rule = _regex_message(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc")
        return [f"a valid label key {rule} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"]
    prefix_messages = dns_subdomain_messages(prefix) if prefix else ["must be non-empty"]
    return [f"prefix part {message}" for message in prefix_messages] + _name_part_messages(name)


def label_value_messages(value: str) -> list[str]:
    """Value of a label; empty is good."""
    messages = _too_long(value, 63)
    if value and not _QUALIFIED_PATTERN.fullmatch(value):
        rule = _QUALIFIED_RULE.replace("must consist", "a valid label must be an empty string or consist", 1)
        messages.append(_regex_message(rule, f"({_QUALIFIED})?", "MyValue", "my_value", "12345"))
    return messages


def _name_part_messages(name: str) -> list[str]:
    messages = _too_long(name, 63) if name else ["must be non-empty"]
    if not _QUALIFIED_PATTERN.fullmatch(name):
        messages.append(_regex_message(_QUALIFIED_RULE, _QUALIFIED, "MyName", "my.name", "123-abc"))
    return [f"name part {message}" for message in messages]


def _too_long(value: str, limit: int) -> list[str]:
    return [f"must be no more than {limit} bytes"] if len(value.encode()) > limit else []


def _regex_message(rule: str, pattern: str, *examples: str) -> str:
    # The API's own rendering, down to the doubled space before "or".
    quoted = " or ".join(f"'{example}', " for example in examples)
    return f"{rule} (e.g. {quoted}regex used for validation is '{pattern}')"
