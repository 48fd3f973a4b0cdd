"""The endpoints of Services by state."""

from proxy.admin.endpoint_metrics import endpoint_samples
from proxy.reports.endpoint_report import ServiceEndpoints


async def test_ready_is_always_there_and_other_states_where_they_are() -> None:
    text = await endpoint_samples((None, ServiceEndpoints("a", "web", 2, 1, 0), ServiceEndpoints("a", "none", 0, 0, 0)))
    assert text.decode().splitlines()[2:] == [
        'svcproxy_service_endpoints{namespace="a",service="web",state="ready"} 2',
        'svcproxy_service_endpoints{namespace="a",service="web",state="failing"} 1',
        'svcproxy_service_endpoints{namespace="a",service="none",state="ready"} 0',
    ]


async def test_without_a_service_there_is_no_family() -> None:
    assert await endpoint_samples((None,)) == b""
