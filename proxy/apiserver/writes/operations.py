"""Operations: every write of the API, from what is asked to what is answered.

Invariant: an operation is decided on the newest state and takes effect as a whole or not at all; a dry run goes the
same way up to the write itself.
"""

from collections.abc import Callable

import msgspec

from proxy.apiserver.controller import EndpointController
from proxy.apiserver.document import Document, Key
from proxy.apiserver.http.selectors import Matches
from proxy.apiserver.kinds import Kind
from proxy.apiserver.storage.store import Store, Transaction
from proxy.apiserver.writes.options import DeleteOptions, WriteOptions
from proxy.apiserver.writes.patching import Patch
from proxy.apiserver.writes.proposals import Proposal, Proposals


class Written(msgspec.Struct, frozen=True):
    """What a write answers: the object as it is now, and warnings."""

    document: Document
    created: bool = False
    warnings: tuple[str, ...] = ()


class Operations:
    """Each method raises StatusError. `subresource` is empty or "status"."""

    def __init__(self, store: Store, controller: EndpointController, proposals: Proposals) -> None:
        self._store = store
        self._controller = controller
        self._proposals = proposals

    async def create(self, kind: Kind, namespace: str, body: Document, options: WriteOptions) -> Written:
        """Create the object in `body`."""
        return await self._carry_out(lambda: self._proposals.create(kind, namespace, body, options), options.dry_run)

    async def update(
        self, kind: Kind, key: Key, body: Document, options: WriteOptions, subresource: str = ""
    ) -> Written:
        """Replace the object under `key` by the one in `body`."""
        return await self._carry_out(
            lambda: self._proposals.update(kind, key, body, options, subresource), options.dry_run
        )

    async def patch(self, kind: Kind, key: Key, patch: Patch, options: WriteOptions, subresource: str = "") -> Written:
        """Patch the object under `key`."""
        return await self._carry_out(
            lambda: self._proposals.patch(kind, key, patch, options, subresource), options.dry_run
        )

    async def delete(self, kind: Kind, key: Key, options: DeleteOptions) -> Written:
        """Delete the object under `key`; gives its last version."""
        return await self._carry_out(lambda: self._proposals.delete(kind, key, options), options.dry_run)

    async def delete_all(
        self, kind: Kind, namespace: str, matches: Matches, options: DeleteOptions
    ) -> tuple[Document, ...]:
        """Delete every object that `matches` in the namespace, or with an empty one everywhere."""
        deleted: list[Document] = []

        def propose() -> Proposal:
            deleted.extend(
                stored.document
                for stored in self._store.objects(kind).values()
                if namespace in ("", stored.key[0]) and matches(stored.document)
            )
            return self._proposals.delete_all(kind, deleted, options)

        await self._carry_out(propose, options.dry_run)
        return tuple(deleted)

    async def _carry_out(self, propose: Callable[[], Proposal], dry_run: bool) -> Written:
        proposals: list[Proposal] = []

        def decide() -> Transaction:
            proposals.append(propose())
            writes = () if dry_run else proposals[0].writes
            return self._controller.transaction(writes)

        stored = await self._store.write(decide)
        (proposal,) = proposals
        # The first write is the object that was asked for; what follows from it comes after.
        document = stored[0].document if stored else proposal.document
        return Written(document, proposal.created, proposal.warnings)
