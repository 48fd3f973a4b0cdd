"""BPF programs of type sk_lookup, assembled and loaded from plain Python: no compiler, no other tool.

The kernel asks such a program which socket a new TCP connection or a UDP datagram is for
(Documentation/bpf/prog_sk_lookup.rst, Linux 5.9), so that one listening socket serves any number of addresses and
ports. Invariant: nothing is pinned, so whatever was loaded or attached leaves the kernel with the last descriptor of
the process that made it.
"""
