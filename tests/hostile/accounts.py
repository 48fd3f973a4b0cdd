"""What a running proxy must show when all its clients are gone: every connection and byte counted, nothing held."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.system.harness.eventually import eventually
from tests.system.harness.svcproxy import Svcproxy

ORDERLY = frozenset(("client_closed", "backend_closed"))


class Accounts:
    """Begun before any client comes; `settle` compares. `labels` say of which Service, where not of all."""

    def __init__(self, proxy: Svcproxy, **labels: str) -> None:
        self._proxy = proxy
        self._labels = labels
        self._descriptors = self._open_descriptors()

    def settle(self, connections: int, received: int, sent: int) -> None:
        """Exactly so many connections were opened and ended in order, so many bytes went to backends and to clients,
        and the workers hold the descriptors that they held before (pipes that wait for the next bulk apart)."""
        eventually(lambda: self._total("connections_closed_total") >= connections, "every connection over")
        assert self._total("connections_open") == 0
        assert self._total("connections_opened_total") == connections
        assert self.endings().keys() <= ORDERLY
        assert sum(self.endings().values()) == connections
        assert (self._total("received_bytes_total"), self._total("sent_bytes_total")) == (received, sent)
        self.settle_descriptors()

    def settle_descriptors(self) -> None:
        """The workers hold the descriptors that they held before."""
        eventually(lambda: self._open_descriptors() <= self._descriptors, "the descriptors of before")

    def endings(self) -> dict[str, int]:
        """How many connections ended for each close reason."""
        return {
            sample.labels["reason"]: int(sample.value)
            for family in text_string_to_metric_families(self._proxy.get("/metrics")[1])
            for sample in family.samples
            if sample.name == "svcproxy_connections_closed_total" and sample.value
        }

    def _total(self, name: str) -> int:
        return int(sample(self._proxy, name, **self._labels))

    def _open_descriptors(self) -> int:
        """Sockets of the workers: their pipes are kept for the next bulk transfer."""
        return sum(
            sum("socket:" in _target(link) for link in Path(f"/proc/{worker.pid}/fd").iterdir())
            for worker in self._proxy.workers()
        )


def sample(proxy: Svcproxy, name: str, **labels: str) -> float:
    """The sum of the samples of `svcproxy_NAME` that have these labels."""
    return sum(
        each.value
        for family in text_string_to_metric_families(proxy.get("/metrics")[1])
        for each in family.samples
        if each.name == f"svcproxy_{name}" and labels.items() <= each.labels.items()
    )


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""
