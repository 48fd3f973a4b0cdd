"""The embedded API as a whole: the state directory, the store, the controller and the server.

Joins this room's parts; the standalone source runs it. Invariant: nothing is served before what is stored is loaded,
and the namespaces that every cluster has are there.
"""

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from random import Random
from typing import NamedTuple

from proxy.apiserver.controller import EndpointController
from proxy.apiserver.document import Document, Stored
from proxy.apiserver.event_expiry import expire_events
from proxy.apiserver.http.certificate import ServingCertificate
from proxy.apiserver.http.certificate_renewal import kept_valid
from proxy.apiserver.http.kubeconfig import load_or_make_token, write_kubeconfig
from proxy.apiserver.http.server import APIServer
from proxy.apiserver.kinds import NAMESPACES, SERVICES
from proxy.apiserver.storage.recovery import opened_database
from proxy.apiserver.storage.store import Store
from proxy.apiserver.terminating_pods import removing_terminated_pods
from proxy.apiserver.writes.operations import Operations
from proxy.apiserver.writes.options import WriteOptions
from proxy.apiserver.writes.proposals import PERMANENT_NAMESPACES, Proposals
from proxy.cluster.cluster import Cluster, ClusterSettings
from proxy.cluster.ledger import Grant, Ledger, grant_of
from proxy.model.changes import Changes
from proxy.model.decoding import DecodingError, decode
from proxy.model.service import Service
from proxy.serving.bounded_connections import USUAL_BOUNDS

FIELD_MANAGER = "svcproxy"

_log = logging.getLogger(__name__)


class EmbeddedAPI(NamedTuple):
    """A running API: its objects, the ways to change them, and how clients reach it."""

    store: Store
    operations: Operations
    url: str
    kubeconfig: str


@contextlib.asynccontextmanager
async def embedded_api(
    directory: str,
    address: tuple[str, int],
    settings: ClusterSettings,
    on_changes: Callable[[Changes], None],
    random: Random,
    most_connections: int = USUAL_BOUNDS.api,
) -> AsyncIterator[EmbeddedAPI]:
    """Run the API on the state in `directory`; `on_changes` gets the complete first state, then every difference.

    Raises StartupError, ValueError for settings that make no sense.
    """
    with opened_database(directory) as database:
        store = Store(database)
        cluster = Cluster(settings, _ledger(store), random)
        controller = EndpointController(cluster, store, on_changes, rfc3339_now, _new_uid, settings.service_ranges)
        operations = Operations(store, controller, Proposals(store, controller.trial, rfc3339_now, random, _new_uid))
        certificate = ServingCertificate(directory, address[0], datetime.now(UTC))
        token = load_or_make_token(directory)
        server = APIServer(store, operations, certificate, token, random, most_connections)
        async with store.running():
            await store.write(controller.initial)
            await _make_namespaces(store, operations)
            expiry = asyncio.create_task(expire_events(store, operations), name="expire Events")
            try:
                url = await server.start(address)
                kubeconfig = write_kubeconfig(directory, url, certificate.authority, token)
                async with (
                    kept_valid(certificate, lambda pem: _trust(directory, url, pem, token)),
                    removing_terminated_pods(store, operations, time.time),
                ):
                    yield EmbeddedAPI(store, operations, url, kubeconfig)
            finally:
                await server.stop()
                expiry.cancel()
                await asyncio.wait([expiry])


def _trust(directory: str, url: str, authority: bytes, token: str) -> None:
    write_kubeconfig(directory, url, authority, token)
    _log.warning("the API has a new authority: who copied the kubeconfig needs the new one")


def rfc3339_now() -> str:
    """The time as metadata has it, in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _new_uid() -> str:
    return str(uuid.uuid4())


def _ledger(store: Store) -> Ledger:
    """What the stored Services hold, so that none of them loses it to another while they are loaded."""
    grants = (_grant(stored) for _, stored in sorted(store.objects(SERVICES).items()))
    return Ledger(tuple(grant for grant in grants if grant))


def _grant(stored: Stored) -> Grant | None:
    try:
        service = decode(stored.document)
    except DecodingError:
        # The controller reports it when it loads the objects.
        return None
    return grant_of(service) if isinstance(service, Service) else None


async def _make_namespaces(store: Store, operations: Operations) -> None:
    for name in PERMANENT_NAMESPACES:
        if store.get(NAMESPACES, ("", name)) is None:
            document: Document = {"metadata": {"name": name}}
            await operations.create(NAMESPACES, "", document, WriteOptions(field_manager=FIELD_MANAGER))
