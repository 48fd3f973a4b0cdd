"""IPVS's schedulers, one small pure module each, behind one interface and one registry.

No I/O, no clock of its own, randomness is passed in. Invariant: a scheduler never changes a backend's counters; the
data plane counts, the scheduler reads.
"""
