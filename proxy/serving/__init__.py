"""HTTP on an address, for so many connections and no more.

Invariant: what is open is counted, and what listens is known to whoever ends it.
"""
