"""Manifests as text."""

from collections.abc import Callable

import pytest


@pytest.fixture
def service() -> Callable[..., str]:
    """One document: a Service `name`; `note` is an annotation, to make another version of it."""

    def text(name: str, note: str = "", *, affinity: str = "None", extra: str = "") -> str:
        return (
            "---\napiVersion: v1\nkind: Service\n"
            f"metadata: {{name: {name}, annotations: {{note: '{note}'}}}}\n"
            f"spec: {{selector: {{app: {name}}}, sessionAffinity: {affinity}, ports: [{{port: 80}}]{extra}}}\n"
        )

    return text
