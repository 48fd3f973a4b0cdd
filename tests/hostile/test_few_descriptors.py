"""A tight RLIMIT_NOFILE: those who find no descriptor wait their turn, and are served whole."""

from tests.hostile.accounts import Accounts
from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import FewFiles, NodePorts
from tests.system.harness.backends import StartBackends
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"


def test_more_streams_than_descriptors_arrive_whole(
    svcproxy: StartSvcproxy, plain_echo_backends: StartBackends, node_ports: NodePorts, few_files: FewFiles
) -> None:
    manifests, number = node_ports("web", *(backend.address for backend in plain_echo_backends("a", "b")))
    proxy = svcproxy(manifests, under=few_files(64))
    accounts = Accounts(proxy)
    carried = checked_echo(HERE, number, streams=60, size=20_000)
    accounts.settle(60, carried, carried)
