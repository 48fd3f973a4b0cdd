"""One record of a Service's name, in the form that the admin API and `svcproxy get names` share.

Invariant: stable on the wire: camelCase, fields are only added.
"""

import msgspec


class NameReport(msgspec.Struct, frozen=True, rename="camel"):
    """One record of a Service's name; `value` is as dig prints it."""

    namespace: str
    service: str
    name: str
    record_type: str
    value: str
    ttl: int
