"""A memory cgroup at its limit: sends are partial and reads wait, and nothing is lost."""

from tests.hostile.accounts import Accounts
from tests.hostile.checked_services import SETTINGS, CheckedServices
from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import NodePorts
from tests.hostile.memory_cgroup import MemoryCgroup
from tests.system.harness.backends import StartBackends
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
LITTLE = 512 * 1024


def test_streams_and_datagrams_pass_where_sockets_have_no_memory_left(
    memory: MemoryCgroup, svcproxy: StartSvcproxy, checked_services: CheckedServices
) -> None:
    memory.limit_sockets(LITTLE)
    proxy = svcproxy(checked_services.manifests, configuration={**SETTINGS, "workers": 2}, under=memory.under)
    checked_services.begin(proxy)
    for _ in range(3):
        checked_services.use(HERE)
    checked_services.settle()
    assert memory.kills == 0


def test_streams_arrive_whole_where_sockets_have_no_memory_left(
    memory: MemoryCgroup, svcproxy: StartSvcproxy, plain_echo_backends: StartBackends, node_ports: NodePorts
) -> None:
    manifests, number = node_ports("web", *(backend.address for backend in plain_echo_backends("a", "b")))
    memory.limit_sockets(LITTLE)
    proxy = svcproxy(manifests, under=memory.under)
    accounts = Accounts(proxy)
    carried = checked_echo(HERE, number, streams=8, size=500_000)
    accounts.settle(8, carried, carried)
    assert memory.kills == 0
