"""Strict fields: the members of a Service document that the API does not know.

Invariant: only Service is held to this, because its struct alone names every field of the API; metadata and status may
hold more than the proxy reads.
"""

import difflib
from collections.abc import Iterator, Mapping

import msgspec

from proxy.model.problem import FieldError
from proxy.model.service import ClientIPConfig, ServicePort, ServiceSpec, SessionAffinityConfig

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


def unknown_service_fields(document: Mapping[str, object]) -> tuple[FieldError, ...]:
    """One error for each unknown member, worded as `fieldValidation=Strict` of the API server is."""
    return tuple(_unknown_field(path, known) for path, known in _unknown_paths(document))


def _unknown_paths(document: Mapping[str, object]) -> Iterator[tuple[str, tuple[str, ...]]]:
    yield from _unknown_members(document, "", _TOP_LEVEL)
    spec = document.get("spec")
    yield from _unknown_members(spec, "spec", _encoded_fields(ServiceSpec))
    if not isinstance(spec, Mapping):
        return
    ports = spec.get("ports")
    for index, port in enumerate(ports if isinstance(ports, list) else ()):
        yield from _unknown_members(port, f"spec.ports[{index}]", _encoded_fields(ServicePort))
    config = spec.get("sessionAffinityConfig")
    yield from _unknown_members(config, "spec.sessionAffinityConfig", _encoded_fields(SessionAffinityConfig))
    if isinstance(config, Mapping):
        client_ip = config.get("clientIP")
        yield from _unknown_members(client_ip, "spec.sessionAffinityConfig.clientIP", _encoded_fields(ClientIPConfig))


def _unknown_members(value: object, path: str, known: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in value if isinstance(value, Mapping) else ():
        if name not in known:
            yield (f"{path}.{name}" if path else name), known


def _encoded_fields(struct: type[msgspec.Struct]) -> tuple[str, ...]:
    return tuple(field.encode_name for field in msgspec.structs.fields(struct))


def _unknown_field(path: str, known: tuple[str, ...]) -> FieldError:
    text = f'strict decoding error: unknown field "{path}"'
    by_lower_case = {name.lower(): name for name in known}
    near = difflib.get_close_matches(path.rpartition(".")[2].lower(), by_lower_case, n=1)
    if near:
        text += f' (did you mean "{by_lower_case[near[0]]}"?)'
    return FieldError(path, "FieldValueInvalid", text)
