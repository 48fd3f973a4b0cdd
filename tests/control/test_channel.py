"""The local channel: what arrives equals what was sent, and is not the same object."""

import socket
from typing import Any

from proxy.control.channel import LocalChannel
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target


class Worker:
    """Takes note of what it is given."""

    def __init__(self) -> None:
        self.given: list[tuple[Delta, Any]] = []

    def apply(self, delta: Delta, sockets: Any) -> None:
        self.given.append((delta, sockets))


def test_a_message_arrives_as_it_was_sent_and_in_order() -> None:
    worker: Any = Worker()
    channel = LocalChannel(worker)
    key = FrontendKey("TCP", "127.0.0.1", 80)
    pool = Pool(
        "web",
        "default/web",
        "http",
        "TCP",
        "rr",
        "web",
        60,
        5.0,
        0.0,
        (Target("::1", 8080, 3, "web-1"),),
        (("::2", 1),),
    )
    added = Delta(pools=(pool,), frontends=(Frontend(key, "web", "default/web", "NodePort", "drop", ("::/0",)),))
    removed = Delta(removed_frontends=(key,), removed_pools=("web",))
    with socket.socket() as sock:
        channel.send(added, {key: sock})
        channel.send(removed, {})
        assert worker.given == [(added, {key: sock}), (removed, {})]
    assert worker.given[0][0] is not added
    assert isinstance(worker.given[1][0].removed_frontends[0], FrontendKey)
