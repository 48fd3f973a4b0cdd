"""What a person or a monitoring system sees of the running proxy: health, metrics, tables.

May import every room but `sources` and `dataplane`. Invariant: read only; nothing here changes what the proxy does.
"""
