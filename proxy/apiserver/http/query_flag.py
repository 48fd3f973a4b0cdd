"""Flags in a query: `watch=true`, and everything else that the API server takes for true.

Invariant: as in k8s.io/apimachinery/pkg/runtime/conversion.go, "false" and "0" are false and any other value that is
there is true; clients in other languages send their own `True`.
"""

from collections.abc import Mapping


def query_flag(query: Mapping[str, str], name: str) -> bool:
    """Whether the flag is set."""
    return name in query and query[name].lower() not in ("false", "0")
