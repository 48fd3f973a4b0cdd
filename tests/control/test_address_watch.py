"""What the kernel announces of addresses, in a network namespace of the test's own."""

import asyncio
import socket
import subprocess
from collections.abc import Callable

import pytest

from proxy.control import address_watch
from proxy.control.address_watch import follow_addresses


async def until(told: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not told():  # noqa: ASYNC110 - a callback is all that announces it
            await asyncio.sleep(0.01)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


@pytest.mark.requires("ip")
async def test_each_address_that_comes_and_goes_is_told(
    network_namespace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_watch, "SETTLING", 0.001)
    told: list[int] = []
    following = asyncio.create_task(follow_addresses(lambda: told.append(1)))
    await until(lambda: len(told) > 0)
    for address in ("192.0.2.9/32", "2001:db8::9/128"):
        for command in ("add", "delete"):
            before = len(told)
            ip("address", command, address, "dev", "lo")
            await until(lambda before=before: len(told) > before)  # type: ignore[misc]  # mypy sees no default
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


@pytest.mark.requires("ip")
async def test_announcements_that_are_lost_are_one_more_reason_to_look(
    network_namespace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_watch, "SETTLING", 0.001)
    told: list[int] = []
    following = asyncio.create_task(follow_addresses(lambda: told.append(1)))
    await until(lambda: len(told) > 0)
    batch = "".join(f"route add local 198.18.{number // 250}.{number % 250}/32 dev lo\n" for number in range(3000))
    # While it runs nobody reads, so what does not fit into the socket's buffer is lost.
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True, timeout=20)  # noqa: ASYNC221
    before = len(told)
    await until(lambda: len(told) > before)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_where_nothing_is_announced_it_is_looked_now_and_then(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> socket.socket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(address_watch, "_subscribed", refuse)
    monkeypatch.setattr(address_watch, "POLL_INTERVAL", 0.001)
    told: list[int] = []
    following = asyncio.create_task(follow_addresses(lambda: told.append(1)))
    await until(lambda: len(told) > 2)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    assert [record.message for record in caplog.records] == [
        "the kernel does not announce addresses (Operation not permitted): looking every 0.001 s"
    ]
