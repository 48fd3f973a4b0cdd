"""Every scheduler chooses as the kernel's IPVS did, on the counts that the kernel had."""

from collections.abc import Mapping
from random import Random

import pytest

from proxy.dataplane.addresses import client_number, fold
from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create
from proxy.schedulers.scheduler import KeyedBy
from tests.schedulers.kernel_choices import Event, Recording, recordings

RECORDINGS = recordings()

REMEMBER_WHO_LEFT = ("lblc", "lblcr")
"""In the kernel these choose a server again for its former clients when it comes back. Here they forget it: an address
that comes back is another Pod."""

compared = pytest.mark.parametrize(
    "recording",
    [each for each in RECORDINGS if not (each.scheduler in REMEMBER_WHO_LEFT and each.has_a_return)],
    ids=lambda recording: recording.name,
)


class Replay:
    """The recording's servers under our scheduler. `together` hands it at once the servers that were added in a row."""

    def __init__(self, recording: Recording, together: bool) -> None:
        self.events = recording.events
        self.fallback = recording.fallback
        self.together = together
        self.scheduler = create(recording.scheduler, Random(1))
        self.backends: dict[str, Backend] = {}
        self.gone: dict[str, Backend] = {}

    def choices(self) -> list[str | None]:
        chosen = []
        counts: Mapping[str, tuple[int, int]] = {}
        for number, event in enumerate(self.events):
            if event.do == "connect":
                self.count(counts)
                chosen.append(self.choice(event))
            elif event.server:
                self.change(event)
                following = self.events[number + 1].do if number + 1 < len(self.events) else ""
                if not (self.together and event.do == following == "add"):
                    self.scheduler.update(list(self.backends.values()))
            counts = event.counts
        return chosen

    def change(self, event: Event) -> None:
        if event.do == "remove":
            self.gone[event.server] = self.backends.pop(event.server)
            return
        if event.do == "add":
            address, _, port = event.server.rpartition(":")
            backend = self.gone.pop(event.server, None) or Backend(address.strip("[]"), int(port))
            self.backends[event.server] = backend
        self.backends[event.server].weight = event.weight

    def count(self, counts: Mapping[str, tuple[int, int]]) -> None:
        for server, backend in self.backends.items():
            backend.active, backend.inactive = counts.get(server, (0, 0))

    def choice(self, event: Event) -> str | None:
        by = self.scheduler.keyed_by
        key = 0 if by is KeyedBy.NOTHING else fold(client_number(event.client if by is KeyedBy.SOURCE else event.asked))
        drained = [each for each in self.backends.values() if not each.weight] if self.fallback else ()
        chosen = self.scheduler.pick(key, 0.0, drained)
        return next((server for server, backend in self.backends.items() if backend is chosen), None)


def kernels(recording: Recording) -> list[str | None]:
    return [event.got for event in recording.events if event.do == "connect"]


def test_the_recordings_are_all_there() -> None:
    assert sum(len(kernels(recording)) for recording in RECORDINGS) == 10_723
    assert len({recording.scheduler for recording in RECORDINGS}) == 13


@compared
def test_servers_that_are_added_one_by_one_are_chosen_as_the_kernel_chose(recording: Recording) -> None:
    assert Replay(recording, together=False).choices() == kernels(recording)


@compared
def test_servers_that_are_there_from_the_beginning_are_chosen_as_the_kernel_chose(recording: Recording) -> None:
    assert Replay(recording, together=True).choices() == kernels(recording)
