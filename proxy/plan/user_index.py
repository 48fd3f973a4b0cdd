"""Which Services use a thing, such as a Pod or an address, so that a change of it touches those alone.

Invariant: holds exactly what it was told of. One Service a thing is the usual case and takes no container.
"""

from collections.abc import Collection, Hashable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from proxy.model.changes import ObjectKey

Used = TypeVar("Used", bound=Hashable)


class UserIndex(Generic[Used]):
    """The Services by what they use."""

    def __init__(self) -> None:
        self._users: dict[Used, ObjectKey | set[ObjectKey]] = {}

    def replace(self, service: ObjectKey, before: AbstractSet[Used], after: AbstractSet[Used]) -> None:
        """One Service used `before` and uses `after`."""
        for used in before - after:
            users = self._users[used]
            if isinstance(users, set) and len(users) > 1:
                users.discard(service)
            else:
                del self._users[used]
        for used in after - before:
            users = self._users.setdefault(used, service)
            if isinstance(users, set):
                users.add(service)
            elif users != service:
                self._users[used] = {users, service}

    def of(self, used: Used) -> Collection[ObjectKey]:
        """The Services that use it."""
        users = self._users.get(used, ())
        return users if isinstance(users, set) or not users else (users,)
