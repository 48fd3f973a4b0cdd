"""Events that nobody writes any more go after an hour."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from proxy.apiserver import event_expiry
from proxy.apiserver.document import Stored
from proxy.apiserver.embedded_api import EmbeddedAPI
from proxy.apiserver.event_expiry import expire_events, expired_events
from proxy.apiserver.kinds import EVENTS, SERVICES
from proxy.apiserver.writes.options import WriteOptions

NOW = datetime(2036, 3, 1, 12, tzinfo=UTC)


def event(name: str, created: str, *written: str) -> Stored:
    managed = [{"manager": "a", "time": moment} for moment in written]
    metadata = {"namespace": "default", "name": name, "creationTimestamp": created, "managedFields": managed}
    return Stored(EVENTS, {"metadata": metadata}, b"", 7)


@pytest.mark.parametrize(
    ("found", "expires"),
    [
        (event("old", "2036-03-01T10:59:59Z"), True),
        (event("young", "2036-03-01T11:00:00Z"), False),
        (event("rewritten", "2036-03-01T09:00:00Z", "2036-03-01T09:30:00Z", "2036-03-01T11:30:00Z"), False),
        (event("long-rewritten", "2036-03-01T09:00:00Z", "2036-03-01T09:30:00Z"), True),
    ],
)
def test_an_event_expires_an_hour_after_it_was_last_written(found: Stored, expires: bool) -> None:
    assert list(expired_events([found], NOW)) == ([(found.key, "7")] if expires else [])


async def test_what_is_expired_is_deleted_and_nothing_else(api: EmbeddedAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    about: dict[str, Any] = {"kind": "Service", "namespace": "default", "name": "web"}
    await api.operations.create(EVENTS, "default", {"metadata": {"name": "a"}, "involvedObject": about}, WriteOptions())
    service = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    await api.operations.create(SERVICES, "default", service, WriteOptions())
    monkeypatch.setattr(event_expiry, "LIFETIME", timedelta(seconds=-10))
    with api.store.watching(EVENTS, "") as watcher:
        expiring = asyncio.create_task(expire_events(api.store, api.operations))
        (gone,) = await asyncio.wait_for(watcher.next_events(), 10)
        expiring.cancel()
    assert (gone.deleted, gone.stored.key) == (True, ("default", "a"))
    assert api.store.get(SERVICES, ("default", "web")) is not None
