"""Columns of names.

Invariant: one row for each record, its value as dig prints it.
"""

from proxy.client.columns import GONE, Column

NAME_COLUMNS = (
    Column("NAMESPACE", lambda each: each.namespace),
    Column("SERVICE", lambda each: each.service),
    Column("NAME", lambda each: each.name),
    Column("TYPE", lambda each: each.record_type),
    Column("VALUE", lambda each: each.value),
    Column("TTL", lambda each: str(each.ttl), lambda each: each.ttl, gone=GONE),
)
