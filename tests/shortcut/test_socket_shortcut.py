"""The shortcut on real sockets in a cgroup and a network namespace of the test's own."""

import errno
import socket
from collections import Counter

import pytest

from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Target
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell
from proxy.shortcut.layout import CountField
from tests.shortcut.conftest import (
    HOSTS,
    HOSTS6,
    NODE_PORT,
    PORT,
    VIP,
    VIP6,
    Endpoints,
    Machine,
    ask,
    frontend,
    pool,
    spread,
)

UDP = socket.SOCK_DGRAM


@pytest.fixture
def web(machine: Machine, endpoints: Endpoints) -> Machine:
    """Five endpoints behind a ClusterIP and a node port of each family."""
    for host in (*HOSTS, *HOSTS6):
        endpoints.serve(host)
    machine.apply(
        pool(*HOSTS),
        pool(*HOSTS6, key="web6"),
        frontends=(
            frontend(VIP),
            frontend("0.0.0.0", NODE_PORT),
            frontend(VIP6, pool="web6"),
            frontend("::", NODE_PORT, pool="web6"),
        ),
    )
    return machine


@pytest.fixture
def names(machine: Machine, endpoints: Endpoints) -> Machine:
    """Five UDP endpoints behind a ClusterIP of each family."""
    for host in (*HOSTS, *HOSTS6):
        endpoints.serve(host, kind=UDP)
    machine.apply(
        pool(*HOSTS, protocol="UDP"),
        pool(*HOSTS6, key="web6", protocol="UDP"),
        frontends=(frontend(VIP, 53, "UDP"), frontend(VIP6, 53, "UDP", pool="web6")),
    )
    return machine


def held(times: int, address: str = VIP) -> list[socket.socket]:
    """Open connections."""
    return [socket.create_connection((address, 80), timeout=5) for _ in range(times)]


def open_by_host(machine: Machine) -> dict[str, int]:
    entry = machine.shortcut.tables.entries["web"]
    return {host: live(machine, number) for (host, _), number in entry.endpoints.items()}


def live(machine: Machine, number: int) -> int:
    """The connections of an endpoint that are not over."""
    words, at = machine.maps.counts.words, machine.maps.counts.word(number, 0)
    half_closed = words[at + CountField.INACTIVE // 8] - words[at + CountField.CLOSED // 8]
    return words[at + CountField.OPEN // 8] + half_closed


@pytest.mark.parametrize(("address", "hosts"), [(VIP, HOSTS), (VIP6, HOSTS6)])
def test_a_cluster_ip_goes_round_all_endpoints_exactly(web: Machine, address: str, hosts: tuple[str, ...]) -> None:
    first = [ask(address) for _ in range(5)]
    assert sorted(first) == sorted(hosts)
    assert [ask(address) for _ in range(5)] == first


@pytest.mark.parametrize("address", [VIP, VIP6, f"::ffff:{VIP}"])
def test_a_client_sees_the_address_that_it_asked_for(web: Machine, address: str) -> None:
    with socket.create_connection((address, 80), timeout=5) as client:
        assert client.getpeername()[:2] == (address, 80)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.5.5.5", "0.0.0.0", "::ffff:127.0.0.1", "::1", "::"])
def test_a_node_port_is_there_on_loopback_and_wildcard(web: Machine, address: str) -> None:
    hosts = HOSTS6 if address.startswith("::") and "." not in address else HOSTS
    assert ask(address, NODE_PORT) in hosts


def test_a_node_port_is_there_on_the_machines_addresses_and_on_no_other(web: Machine) -> None:
    web.local.append("10.96.0.77")
    web.tend(2)
    assert ask("10.96.0.77", NODE_PORT) in HOSTS
    web.local.clear()
    web.tend(2)
    with pytest.raises(ConnectionRefusedError):
        ask("10.96.0.77", NODE_PORT)


def test_what_is_no_service_is_left_alone(web: Machine) -> None:
    assert ask(HOSTS[2], PORT) == HOSTS[2]


def test_a_frontend_that_goes_leaves_its_clients_to_the_listener(web: Machine, endpoints: Endpoints) -> None:
    endpoints.serve(VIP, 80)
    assert ask(VIP) in HOSTS
    web.apply(removed=(frontend(VIP).key,))
    assert ask(VIP) == VIP
    assert ask("127.0.0.1", NODE_PORT) in HOSTS


def test_a_pool_that_asks_for_the_relay_leaves_its_clients_to_the_listener(web: Machine, endpoints: Endpoints) -> None:
    endpoints.serve(VIP, 80)
    web.apply(pool(*HOSTS, path="relay"))
    assert ask(VIP) == VIP
    web.apply(pool(*HOSTS))
    assert ask(VIP) in HOSTS


def test_everybody_meets_the_listener_when_the_shortcut_has_ended(web: Machine, endpoints: Endpoints) -> None:
    endpoints.serve(VIP, 80)
    with socket.create_connection((VIP, 80), timeout=5) as client:
        name = client.recv(100)
        web.shortcut.close()
        assert ask(VIP) == VIP
        assert name.decode() in HOSTS


def test_connected_datagrams_go_round_and_answers_come_from_the_service(names: Machine) -> None:
    answers = set()
    for _ in range(5):
        with socket.socket(socket.AF_INET, UDP) as client:
            client.settimeout(5)
            client.connect((VIP, 53))
            client.send(b"x")
            data, peer = client.recvfrom(100)
            assert peer == (VIP, 53)
            answers.add(data)
    assert len(answers) == 5


@pytest.mark.parametrize("address", [VIP, VIP6, f"::ffff:{VIP}"])
def test_an_unconnected_socket_stays_with_one_endpoint_and_is_answered_by_the_service(
    names: Machine, address: str
) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, UDP) as client:
        client.settimeout(5)
        got = []
        for _ in range(5):
            client.sendto(b"x", (address, 53))
            got.append(client.recvfrom(100))
    assert len({data for data, _ in got}) == 1
    assert {peer[:2] for _, peer in got} == {(address, 53)}


def test_an_unconnected_socket_moves_when_its_endpoint_leaves(names: Machine) -> None:
    with socket.socket(socket.AF_INET, UDP) as client:
        client.settimeout(5)
        client.sendto(b"x", (VIP, 53))
        first = client.recv(100).split()[0].decode()
        names.apply(pool(*(host for host in HOSTS if host != first), protocol="UDP"))
        client.sendto(b"x", (VIP, 53))
        assert client.recv(100).split()[0].decode() not in ("", first)


def test_a_client_stays_with_its_endpoint_over_cluster_ip_and_node_port(web: Machine) -> None:
    web.apply(pool(*HOSTS, affinity_seconds=10800))
    assert len({ask(VIP) for _ in range(8)} | {ask("127.0.0.1", NODE_PORT) for _ in range(4)}) == 1


def test_clients_with_addresses_of_their_own_have_endpoints_of_their_own(web: Machine) -> None:
    web.apply(pool(*HOSTS, affinity_seconds=10800))
    chosen = {client: spread(4, source=f"127.0.7.{client}") for client in range(1, 7)}
    assert all(len(each) == 1 for each in chosen.values())
    assert len({next(iter(each)) for each in chosen.values()}) > 1


def test_ipv6_clients_with_addresses_of_their_own_have_endpoints_of_their_own(web: Machine) -> None:
    web.apply(pool(*HOSTS6, key="web6", affinity_seconds=10800))
    first, second = ask(VIP6, source="fd00:96::73"), ask(VIP6, source="fd00:96::80")
    assert first != second
    assert ask(VIP6, source="fd00:96::73") == first


def test_a_client_gets_another_endpoint_when_its_own_leaves_and_keeps_that(web: Machine) -> None:
    web.apply(pool(*HOSTS, affinity_seconds=10800))
    first = ask(VIP)
    web.apply(pool(*(host for host in HOSTS if host != first), affinity_seconds=10800))
    second = {ask(VIP) for _ in range(4)}
    assert len(second) == 1
    assert first not in second
    web.apply(pool(*HOSTS, affinity_seconds=10800))
    assert {ask(VIP) for _ in range(4)} == second


def test_without_affinity_any_more_clients_go_round(web: Machine) -> None:
    web.apply(pool(*HOSTS, affinity_seconds=10800))
    ask(VIP)
    web.apply(pool(*HOSTS))
    assert len(spread(5)) == 5


@pytest.mark.parametrize(("address", "key"), [(VIP, "web"), (VIP6, "web6")])
def test_a_service_without_endpoints_refuses_at_once(web: Machine, address: str, key: str) -> None:
    web.apply(pool(key=key))
    with pytest.raises(ConnectionRefusedError):
        ask(address)
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
        client.setblocking(False)
        assert client.connect_ex((address, 80)) == errno.ECONNREFUSED


@pytest.mark.parametrize(("address", "key"), [(VIP, "web"), (VIP6, "web6")])
def test_a_datagram_to_a_service_without_endpoints_is_refused_at_once(names: Machine, address: str, key: str) -> None:
    names.apply(pool(key=key, protocol="UDP"))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, UDP) as client, pytest.raises(ConnectionRefusedError):
        client.sendto(b"x", (address, 53))


def test_silence_is_left_to_the_listener(web: Machine, endpoints: Endpoints) -> None:
    endpoints.serve(VIP, 80)
    web.apply(pool(), frontends=(frontend(VIP, when_empty="drop"),))
    assert ask(VIP) == VIP


def test_policy_local_is_not_for_clients_of_this_machine(web: Machine) -> None:
    local = frontend(VIP, pool="here", when_empty="drop", own_pool="web", own_sources=("10.0.0.0/8",))
    web.apply(pool(key="here", affinity_key="web"), frontends=(local,))
    assert set(spread(5)) == set(HOSTS)


def test_endpoints_of_this_namespace_are_for_clients_of_this_namespace(web: Machine) -> None:
    """Another namespace has a loopback of its own, where the endpoints are not."""
    config = web.maps.config
    config.words[0] = config.words[0] + 1
    with pytest.raises(ConnectionRefusedError):
        ask(VIP)


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "sed", "nq"])
def test_held_connections_are_even_and_a_place_that_is_free_is_taken_first(web: Machine, scheduler: str) -> None:
    web.apply(pool(*HOSTS, scheduler=scheduler))
    clients = held(10)
    assert set(open_by_host(web).values()) == {2}
    by_host: dict[str, list[socket.socket]] = {}
    for client in clients:
        by_host.setdefault(client.recv(100).decode(), []).append(client)
    for client in by_host[HOSTS[3]]:
        client.close()
    again = held(2)
    assert {client.recv(100).decode() for client in again} == {HOSTS[3]}
    for client in (*clients, *again):
        client.close()
    assert set(open_by_host(web).values()) == {0}


def test_weights_count(web: Machine) -> None:
    web.apply(pool(*HOSTS, scheduler="wrr", weights=(4, 3, 2, 1, 0)))
    assert spread(20) == {HOSTS[0]: 8, HOSTS[1]: 6, HOSTS[2]: 4, HOSTS[3]: 2}
    web.apply(pool(*HOSTS, scheduler="wlc", weights=(4, 2, 2, 1, 1)))
    clients = held(20)
    assert list(open_by_host(web).values()) == [8, 4, 4, 2, 2]
    for client in clients:
        client.close()


def test_fo_takes_the_heaviest_and_ovf_the_next_when_that_is_full(web: Machine) -> None:
    web.apply(pool(*HOSTS, scheduler="fo", weights=(1, 5, 3, 1, 1)))
    assert spread(4) == {HOSTS[1]: 4}
    web.apply(pool(*HOSTS[:3], scheduler="ovf", weights=(1, 3, 2)))
    clients = held(9)
    assert Counter(client.recv(100).decode() for client in clients) == {HOSTS[1]: 4, HOSTS[2]: 3, HOSTS[0]: 2}
    with pytest.raises(ConnectionRefusedError):
        ask(VIP)
    for client in clients:
        client.close()


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_the_same_source_meets_the_same_endpoint(web: Machine, scheduler: str) -> None:
    web.apply(pool(*HOSTS, scheduler=scheduler))
    chosen = {source: spread(2, source=f"127.0.8.{source}") for source in range(1, 40)}
    assert all(len(each) == 1 for each in chosen.values())
    assert {name for each in chosen.values() for name in each} == set(HOSTS)


def test_the_address_asked_for_chooses_with_dh(web: Machine) -> None:
    addresses = tuple(f"10.96.1.{number}" for number in range(1, 31))
    web.apply(pool(*HOSTS, scheduler="dh"), frontends=tuple(frontend(each) for each in addresses))
    chosen = {address: spread(2, address) for address in addresses}
    assert all(len(each) == 1 for each in chosen.values())
    assert len({name for each in chosen.values() for name in each}) == 5


@pytest.mark.parametrize("scheduler", ["random", "twos"])
def test_draws_meet_every_endpoint(web: Machine, scheduler: str) -> None:
    web.apply(pool(*HOSTS, scheduler=scheduler))
    assert set(spread(120)) == set(HOSTS)


def test_an_endpoint_that_refuses_is_left_out_for_a_while(web: Machine) -> None:
    web.apply(pool(*HOSTS[:2], "127.0.10.99"))
    refused = 0
    for _ in range(3):
        try:
            ask(VIP)
        except ConnectionRefusedError:
            refused += 1
    assert refused == 1
    web.tend()
    assert set(spread(9)) == set(HOSTS[:2])
    web.tend(1.0)
    with pytest.raises(ConnectionRefusedError):
        spread(3)


def test_when_all_endpoints_refuse_they_are_tried_all_the_same(web: Machine) -> None:
    web.apply(pool("127.0.10.98", "127.0.10.99"))
    for _ in range(2):
        with pytest.raises(ConnectionRefusedError):
            ask(VIP)
    web.tend()
    with pytest.raises(ConnectionRefusedError):
        ask(VIP)
    rows = web.ledger.rows_of("web")
    assert rows is not None
    web.tend()
    assert [web.table.totals(ENDPOINTS, row)[EndpointCell.FAILED] for row in rows.endpoints] in ([2, 1], [1, 2])


def test_connections_and_bytes_are_counted(web: Machine) -> None:
    with socket.create_connection((VIP, 80), timeout=5) as client:
        name = client.recv(100)
        client.sendall(b"abc")
        web.tend()
        rows = web.ledger.rows_of("web")
        assert rows is not None
        assert sum(web.table.totals(ENDPOINTS, row)[EndpointCell.ACTIVE] for row in rows.endpoints) == 1
    # The endpoint closes when the client has; both ends are known once it says so no more.
    web.tend()
    cells = web.table.totals(POOLS, rows.pool)
    assert cells[PoolCell.OPENED] == 1
    assert sum(web.table.totals(ENDPOINTS, row)[EndpointCell.ACTIVE] for row in rows.endpoints) == 0
    assert len(name) > 0


def test_refusals_and_affinity_are_counted(web: Machine) -> None:
    web.apply(pool(*HOSTS, affinity_seconds=60))
    spread(3)
    web.apply(pool())
    with pytest.raises(ConnectionRefusedError):
        ask(VIP)
    web.tend()
    rows = web.ledger.rows_of("web")
    assert rows is not None
    cells = web.table.totals(POOLS, rows.pool)
    assert (cells[PoolCell.AFFINITY_HITS], cells[PoolCell.AFFINITY_MISSES]) == (2, 1)
    assert sum(cells[PoolCell.FAILED : PoolCell.CLOSED]) == 1


def test_a_reconnected_udp_socket_counts_once_and_not_when_closed(names: Machine) -> None:
    with socket.socket(socket.AF_INET, UDP) as client:
        for _ in range(7):
            client.connect((VIP, 53))
        assert sum(open_by_host(names).values()) == 1
    assert sum(open_by_host(names).values()) == 0


def test_an_endpoint_that_returns_while_it_has_connections_has_its_counts(web: Machine) -> None:
    with socket.create_connection((VIP, 80), timeout=5) as client:
        gone = client.recv(100).decode()
        number = web.shortcut.tables.entries["web"].endpoints[gone, PORT]
        web.apply(pool(*(host for host in HOSTS if host != gone)))
        web.tend(5)
        web.apply(pool(*HOSTS))
        assert web.shortcut.tables.entries["web"].endpoints[gone, PORT] == number
        assert open_by_host(web)[gone] == 1
    web.tend(5)
    assert set(open_by_host(web).values()) == {0}


def test_an_endpoint_that_left_with_nothing_open_gives_its_number_back(web: Machine) -> None:
    ask(VIP)
    gone = HOSTS[0]
    number = web.shortcut.tables.entries["web"].endpoints[gone, PORT]
    web.apply(pool(*HOSTS[1:]))
    assert number in web.shortcut.tables.departing
    web.tend(5)
    assert not web.shortcut.tables.departing


@pytest.mark.parametrize("scheduler", ["lc", "wlc"])
def test_short_connections_go_round_as_long_as_they_count(web: Machine, scheduler: str) -> None:
    web.apply(pool(*HOSTS, scheduler=scheduler))
    first = [ask(VIP) for _ in range(5)]
    assert sorted(first) == sorted(HOSTS)
    web.tend()
    assert [ask(VIP) for _ in range(5)] == first
    assert ask(VIP) == first[0]
    web.tend(119)
    assert ask(VIP) == first[1]
    web.tend(2)
    # What ended two minutes ago counts no more, but the last two do.
    assert ask(VIP) == first[2]


@pytest.mark.parametrize("address", [VIP, VIP6])
def test_datagrams_count_as_inactive_with_lc(names: Machine, address: str) -> None:
    names.apply(
        pool(*HOSTS, protocol="UDP", scheduler="lc", idle_timeout=30.0),
        pool(*HOSTS6, key="web6", protocol="UDP", scheduler="lc", idle_timeout=30.0),
    )
    met = Counter[str]()
    for _ in range(10):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, UDP) as client:
            client.settimeout(5)
            client.sendto(b"x", (address, 53))
            met[client.recv(100).split()[0].decode()] += 1
        names.tend()
    assert set(met.values()) == {2}


def test_what_the_workers_count_is_compared_and_the_other_way_round(web: Machine) -> None:
    web.apply(pool(*HOSTS, scheduler="lc"))
    worker = Column(web.table, 0)
    rows = web.ledger.rows_of("web")
    assert rows is not None
    first = ask(VIP)
    web.tend()
    upstream = Upstream(Target(first, PORT), worker.tally(ENDPOINTS, rows.endpoints[HOSTS.index(first)]))
    upstream.look_elsewhere()
    assert (upstream.active, upstream.inactive) == (0, 1)
    for host, row in zip(HOSTS, rows.endpoints, strict=True):
        if host != first:
            Upstream(Target(host, PORT), worker.tally(ENDPOINTS, row)).linger(5)
    web.tend()
    assert [ask(VIP) for _ in range(4)] == [first] * 4


def test_tables_that_are_full_leave_the_pool_to_the_listener(web: Machine, endpoints: Endpoints) -> None:
    endpoints.serve("10.96.0.99", 80)
    many = tuple(f"10.{200 + number // 65536}.{number // 256 % 256}.{number % 256}" for number in range(2000))
    web.apply(pool(*many, key="many"), frontends=(frontend("10.96.0.99", pool="many"),))
    assert ask("10.96.0.99") == "10.96.0.99"
    assert "full" in web.shortcut.refusal(frontend("10.96.0.99", pool="many"), pool(*many, key="many"))
    assert ask(VIP) in HOSTS


def test_least_connections_over_many_endpoints(machine: Machine, endpoints: Endpoints) -> None:
    hosts = tuple(f"127.0.{20 + number // 250}.{number % 250 + 1}" for number in range(300))
    endpoints.serve("0.0.0.0")
    machine.apply(pool(*hosts, scheduler="lc"), frontends=(frontend(VIP),))
    clients = held(600)
    assert set(open_by_host(machine).values()) == {2}
    for client in clients:
        client.close()


def test_tcp_fast_open_goes_to_an_endpoint(web: Machine) -> None:
    with socket.socket() as client:
        client.sendto(b"hello", socket.MSG_FASTOPEN, (VIP, 80))
        assert client.recv(100).decode() in HOSTS
        assert client.getpeername() == (VIP, 80)
