"""svcproxy that captures by sk_lookup, in the network namespace of the test.

Invariant: nothing here reaches beyond loopback.
"""

from tests.system.harness.manifests import Manifest
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
SILENCE = 0.5
"""Seconds without any answer; a refusal on loopback comes at once."""
DUAL = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}


def captured(svcproxy: StartSvcproxy, manifests: list[Manifest], *flags: str, **configuration: object) -> Svcproxy:
    return svcproxy(manifests, "--capture", "sklookup", *flags, configuration=configuration)
