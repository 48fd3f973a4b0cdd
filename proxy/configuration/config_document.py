"""The configuration in force as the document that would say it: what /configz answers.

Invariant: the document, written to a file, is read as the same Configuration.
"""

from typing import Any

import msgspec

from proxy.configuration.config import API_VERSION, KIND, Configuration

_PLAIN_NUMBERS = frozenset(("access_log_sample",))
"""Fields that are numbers and no durations."""
_CAN_BE_OFF = frozenset(("tcp_keep_alive",))
"""Fields in which None is "off", and not what is chosen by default."""


def configuration_document(configuration: Configuration) -> dict[str, Any]:
    """Every key, defaults included, durations and addresses in the file's own words."""
    document: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND}
    for field in msgspec.structs.fields(Configuration):
        value = getattr(configuration, field.name)
        if value is None and field.name in _CAN_BE_OFF:
            value = "off"
        document[field.encode_name] = value if field.name in _PLAIN_NUMBERS else _written(value)
    return document


def _written(value: object) -> object:
    match value:
        case bool():
            return value
        case float():
            return f"{value:.9g}s"
        case (str(host), int(port)):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case (int(first), int(last)):
            return f"{first}-{last}"
        case msgspec.Struct():
            fields = msgspec.structs.fields(value)
            return {field.encode_name: _written(getattr(value, field.name)) for field in fields}
        case tuple():
            return [_written(each) for each in value]
        case _:
            return msgspec.to_builtins(value)
