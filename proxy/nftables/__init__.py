"""The nftables path: the kernel translates the addresses of packets, by rules whose number does not grow.

Invariant: what varies with the Services are elements of maps and sets. So one change costs the same however many
Services there are, and one atomic batch puts it into force.
"""
