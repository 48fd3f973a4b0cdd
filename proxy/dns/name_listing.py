"""What is answered for Services, record by record.

Invariant: computed from the index at the moment of asking.
"""

from collections.abc import Iterator

from proxy.dns.name_index import NameIndex
from proxy.dns.name_report import NameReport
from proxy.dns.record_set import RecordSet
from proxy.dns.wire_name import text_of


def name_reports(index: NameIndex, ttl: int) -> Iterator[NameReport]:
    """Every record of every Service, by namespace and name of the Service, its own name first, reverse names last;
    each Service as of the moment that it is reached."""
    for service, names in index.by_service():
        yield from [
            NameReport(*service.key, text_of(name), record_type, value, ttl)
            for name in sorted(names, key=lambda each: (bool(names[each].pointers), len(each), each))
            for record_type, value in _values(names[name])
        ]


def _values(records: RecordSet) -> Iterator[tuple[str, str]]:
    for address in records.addresses:
        yield "AAAA" if ":" in address else "A", address
    for target in records.targets:
        yield "SRV", f"0 {target.weight} {target.port} {text_of(target.host)}"
    for pointer in records.pointers:
        yield "PTR", text_of(pointer)
    if records.alias:
        yield "CNAME", text_of(records.alias)
