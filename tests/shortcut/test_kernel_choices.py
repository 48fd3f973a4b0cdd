"""The loaded programs choose as the kernel's IPVS did, on sockets of a network namespace of the test's own."""

import socket
import struct
import subprocess

import pytest

from proxy.shortcut.layout import CountField
from tests.schedulers.kernel_choices import Event, Recording, recordings
from tests.shortcut.conftest import PORT, Machine, frontend, pool

KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}
_IPV6_FREEBIND = 78  # include/uapi/linux/in6.h
RESET_AT_CLOSE = struct.pack("ii", 1, 0)


class Clients:
    """The recording's clients, in front of the programs."""

    def __init__(self, machine: Machine, recording: Recording) -> None:
        self.machine = machine
        self.recording = recording
        self.is_ipv6 = any(":" in event.client for event in recording.events)
        self.weights: dict[str, int] = {}
        self.open: dict[int, socket.socket] = {}
        asked = dict.fromkeys(event.asked for event in recording.events if event.do == "connect")
        self.frontends = tuple(frontend(each, 80, recording.protocol) for each in asked)

    def play(self) -> list[tuple[str | None, str | None]]:
        """What the kernel chose and what the programs did, connection by connection."""
        chosen = []
        try:
            for number, event in enumerate(self.recording.events):
                if event.server:
                    self.change(event)
                elif event.do == "connect":
                    chosen.append((event.got, self.connect(number, event)))
                elif event.do == "half_close":
                    self.open[event.connect].shutdown(socket.SHUT_WR)
                else:
                    self.open.pop(event.connect).close()
        finally:
            for client in self.open.values():
                client.close()
        return chosen

    def change(self, event: Event) -> None:
        if event.do == "remove":
            del self.weights[event.server]
        else:
            self.weights[event.server] = event.weight
        self.machine.apply(
            pool(
                *(server.rpartition(":")[0].strip("[]") for server in self.weights),
                weights=tuple(self.weights.values()),
                scheduler=self.recording.scheduler,
                protocol=self.recording.protocol,
            ),
            frontends=self.frontends,
        )
        self.machine.clock.now += 2  # What the change put back may be used again.

    def connect(self, number: int, event: Event) -> str | None:
        before = self.opened()
        client = socket.socket(socket.AF_INET6 if self.is_ipv6 else socket.AF_INET, KINDS[self.recording.protocol])
        self.open[number] = client
        if self.is_ipv6:
            client.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        client.settimeout(5)
        client.bind((event.client, 0))
        try:
            client.connect((event.asked, 80))
        except ConnectionRefusedError:
            return None
        if self.recording.scheduler in ("sh", "mh"):
            # These compare no counts, and there are many clients.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_CLOSE)
            self.open.pop(number).close()
        after = self.opened()
        (server,) = [server for server, opened in after.items() if opened != before[server]]
        return server

    def opened(self) -> dict[str, int]:
        entry = self.machine.shortcut.tables.entries["web"]
        words, counts = self.machine.maps.counts.words, self.machine.maps.counts
        at = CountField.OPENED // 8
        return {
            server: words[counts.word(number, 0) + at]
            for server, number in zip(self.weights, entry.endpoints.values(), strict=True)
        }


@pytest.mark.parametrize(
    "recording",
    [each for each in recordings() if each.scheduler not in ("lblc", "lblcr")],
    ids=lambda recording: recording.name,
)
def test_the_programs_choose_as_the_kernel_did(machine: Machine, recording: Recording) -> None:
    for command in ("route add local 10.0.0.0/8 dev lo", "-6 route add local fd00::/8 dev lo"):
        subprocess.run(["ip", *command.split()], check=True, timeout=20)
    clients = Clients(machine, recording)
    with socket.socket(socket.AF_INET6 if clients.is_ipv6 else socket.AF_INET) as server:
        server.bind(("", PORT))
        # Nobody accepts: until then the kernel holds the connections.
        server.listen(4096)
        # Where the kernel's sh and mh refuse the clients of a drained server, the proxy finds them another one.
        assert [(got, ours) for got, ours in clients.play() if got not in (None, ours)] == []
