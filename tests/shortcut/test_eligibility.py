"""Which frontends the shortcut leaves to the relay, and what it says."""

from typing import Any

import pytest

from proxy.shortcut.eligibility import Circumstances, refusal
from tests.shortcut.conftest import VIP, frontend, pool


@pytest.mark.parametrize(
    ("pool_fields", "frontend_fields", "circumstances", "words"),
    [
        ({}, {}, Circumstances(), ""),
        ({"scheduler": "lblc"}, {}, Circumstances(), "the scheduler lblc needs the relay"),
        ({"path": "relay"}, {}, Circumstances(), "the annotation svcproxy.io/path asks for the relay"),
        ({"path": "kernel"}, {}, Circumstances(), ""),
        (
            {"needs": ("svcproxy.io/idle-timeout",)},
            {},
            Circumstances(),
            "only the relay has what the Service asks for: svcproxy.io/idle-timeout",
        ),
        (
            {},
            {"source_ranges": ("10.0.0.0/8",)},
            Circumstances(),
            "loadBalancerSourceRanges need the relay: a client's address is not known before it connects",
        ),
        ({}, {}, Circumstances(access_log=True), "the access log needs the relay"),
    ],
)
def test_what_needs_the_relay_says_so(
    pool_fields: dict[str, Any], frontend_fields: dict[str, Any], circumstances: Circumstances, words: str
) -> None:
    assert refusal(frontend(VIP, **frontend_fields), pool("10.0.0.1", **pool_fields), circumstances) == words
