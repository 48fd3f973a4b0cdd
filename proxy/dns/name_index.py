"""Name index: every name of the cluster's zone and of its reverse zones, kept up with changes.

Invariant: `nodes` is what all Services and slices of this moment come to, whatever the order of the changes; a name
that changed has another record set than before, and one that did not has the same; a name with names below it, inside a
zone of ours, is there (RFC 8020).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from proxy.dns.record_set import EMPTY, RecordSet
from proxy.dns.service_names import service_names
from proxy.dns.slice_hosts import SliceHosts
from proxy.dns.wire_name import WireName, below, parent_of, reverse_zones, wire_name
from proxy.model.changes import Changes, ObjectKey
from proxy.model.service import Service
from proxy.plan.addresses import canonical_address
from proxy.plan.slice_index import SliceIndex

SPECIFICATION = "1.1.0"


class NameIndex:
    """`nodes` is a live, read-only view by name; `zones` are the apexes that are ours, `zone` first."""

    def __init__(self, zone: str, service_ranges: Sequence[str]) -> None:
        self.zone = wire_name(zone)
        self.services_zone = below(self.zone, "svc")
        self.pods_zone = below(self.zone, "pod")
        self.mailbox = below(self.zone, "hostmaster")
        self.name_server = below(self.zone, "ns", "dns")
        reverse = (name for cidr in service_ranges for name in reverse_zones(cidr))
        self.zones = frozenset((self.zone, *reverse))
        self._services: dict[ObjectKey, Service] = {}
        self._slices = SliceIndex()
        self._hosts = SliceHosts()
        self._names: dict[ObjectKey, Mapping[WireName, RecordSet]] = {}
        self._shared: dict[WireName, dict[ObjectKey, RecordSet]] = {}
        self._held: dict[WireName, int] = {}
        self._nodes: dict[WireName, RecordSet] = {}
        self.nodes: Mapping[WireName, RecordSet] = MappingProxyType(self._nodes)
        self._put_fixed_names()

    def apply(self, changes: Changes) -> None:
        """Take one batch; only the Services that it touches are looked at."""
        for key in self._absorb(changes):
            self._replace(key, self._services.get(key))

    def serve_at(self, addresses: Iterable[str]) -> None:
        """Tell where the zone's name server is; an address that stands for every address says nothing."""
        found = (canonical_address(address) for address in addresses)
        usable = tuple(address for address in found if address and address not in ("0.0.0.0", "::"))
        self._nodes[self.name_server] = RecordSet(addresses=usable)

    def zone_of(self, name: WireName) -> WireName | None:
        """The apex of the zone of ours that `name` is in, or None."""
        while name:
            if name in self.zones:
                return name
            name = parent_of(name)
        return None

    def by_service(self) -> Iterator[tuple[Service, Mapping[WireName, RecordSet]]]:
        """Every Service with its names, by namespace and name; one that leaves before it is reached is left out."""
        for key in sorted(self._names):
            names = self._names.get(key)
            if names is not None:
                yield self._services[key], names

    def _put_fixed_names(self) -> None:
        for apex in self.zones:
            self._nodes[apex] = EMPTY
        version = below(self.zone, "dns-version")
        for name in (version, self.name_server, self.services_zone, self.pods_zone):
            self._hold(name)
        self._nodes[version] = RecordSet(text=SPECIFICATION)
        self._nodes[self.name_server] = EMPTY

    def _absorb(self, changes: Changes) -> set[ObjectKey]:
        touched = {key for key in changes.removed_services if self._services.pop(key, None) is not None}
        for service in changes.services:
            if self._services.get(service.key) != service:
                self._services[service.key] = service
                touched.add(service.key)
        for key in changes.removed_slices:
            touched |= self._slices.remove(key)
        self._hosts.forget(changes.removed_slices)
        for endpoint_slice in changes.slices:
            touched |= self._slices.put(endpoint_slice)
        return touched

    def _replace(self, key: ObjectKey, service: Service | None) -> None:
        """Put the Service's names of now in the place of those of before; equal ones stay as they are."""
        before = self._names.get(key)
        after = (
            None if service is None else service_names(service, self._slices.of(key), self.services_zone, self._hosts)
        )
        if before == after:
            return
        self._hold_namespace(key, (after is not None) - (before is not None))
        for name in (before or {}).keys() - (after or {}).keys():
            self._remove(key, name)
        for name, records in (after or {}).items():
            if before is None or before.get(name) != records:
                self._put(key, name, records)
        if after is None:
            del self._names[key]
        else:
            self._names[key] = after

    def _hold_namespace(self, key: ObjectKey, change: int) -> None:
        """A namespace is known by its Services, in both halves of the zone."""
        for zone in (self.services_zone, self.pods_zone):
            try:
                self._hold(below(zone, key[0]), change)
            except ValueError:
                continue

    def _put(self, key: ObjectKey, name: WireName, records: RecordSet) -> None:
        claims = self._shared.setdefault(name, {})
        if not claims:
            self._hold(name)
        claims[key] = records
        self._nodes[name] = _together(claims)

    def _remove(self, key: ObjectKey, name: WireName) -> None:
        claims = self._shared[name]
        del claims[key]
        if claims:
            self._nodes[name] = _together(claims)
            return
        del self._shared[name]
        self._nodes[name] = EMPTY
        self._hold(name, -1)

    def _hold(self, name: WireName, change: int = 1) -> None:
        """Count one use more or less of a name and, inside a zone of ours, of the names above it.

        A name that nothing uses any more is gone.
        """
        apex = self.zone_of(name)
        while change and name != apex:
            uses = self._held.get(name, 0) + change
            if uses:
                self._held[name] = uses
                self._nodes.setdefault(name, EMPTY)
            else:
                del self._held[name]
                self._nodes.pop(name)
            if apex is None:
                return
            name = parent_of(name)


def _together(claims: Mapping[ObjectKey, RecordSet]) -> RecordSet:
    """What a name says that several Services give it: only PTR names are shared."""
    if len(claims) == 1:
        return next(iter(claims.values()))
    pointers = sorted({pointer for records in claims.values() for pointer in records.pointers})
    return RecordSet(pointers=tuple(pointers))
