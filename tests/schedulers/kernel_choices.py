"""What the IPVS of a real kernel chose: 10,723 choices of Linux 6.1 for the schedulers that it has.

The file holds, for each recording, its servers, and events as short lists:

    ["add", server, weight] ["weight", server, weight] ["remove", server]
    ["connect", client, chosen server or null, address asked for where that is not `vip`]
    ["half_close" | "close" | "reset", place of the connect event]

A last item may be a dictionary: the connections, active and inactive, of the servers of which the kernel's counts are
other than after the event before. In `brief` recordings every connection is reset at once, and nothing is counted.
"""

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

_FILE = Path(__file__).with_name("kernel_choices.json.gz")


class Event(NamedTuple):
    """One event; `connect` is the place of the event that opened the connection. `counts` are those after it."""

    do: str
    server: str = ""
    weight: int = 0
    client: str = ""
    asked: str = ""
    got: str | None = None
    connect: int = -1
    counts: Mapping[str, tuple[int, int]] = MappingProxyType({})


class Recording(NamedTuple):
    """What one virtual server met. `fallback` is whether its scheduler looks further where its choice is drained."""

    name: str
    scheduler: str
    protocol: str
    fallback: bool
    events: tuple[Event, ...]

    @property
    def has_a_return(self) -> bool:
        """Whether a server comes back that had left."""
        left = set[str]()
        for event in self.events:
            if event.do == "remove":
                left.add(event.server)
            elif event.do == "add" and event.server in left:
                return True
        return False


def recordings() -> list[Recording]:
    """All of them."""
    with gzip.open(_FILE, "rt") as file:
        found = json.load(file)["vectors"]
    return [
        Recording(
            each["name"],
            each["scheduler"],
            each["protocol"].upper(),
            each.get("fallback", False),
            tuple(_events(each)),
        )
        for each in found
    ]


def _events(recording: dict[str, Any]) -> Iterator[Event]:
    servers = recording["servers"]
    counts: dict[str, tuple[int, int]] = {}
    for short in recording["events"]:
        changed = short[-1] if isinstance(short[-1], dict) else {}
        do, *rest = short[:-1] if changed else short
        if do == "remove":
            counts.pop(servers[rest[0]], None)
        counts = counts | {servers[int(number)]: (active, inactive) for number, (active, inactive) in changed.items()}
        if do in ("add", "weight", "remove"):
            yield Event(do, servers[rest[0]], rest[1] if len(rest) > 1 else 0, counts=counts)
        elif do == "connect":
            asked = rest[2] if len(rest) > 2 else recording["vip"]
            got = None if rest[1] is None else servers[rest[1]]
            yield Event(do, client=rest[0], asked=asked, got=got, counts=counts)
        else:
            yield Event(do, connect=rest[0], counts=counts)
