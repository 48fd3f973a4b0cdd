"""The socket shortcut: a client of this machine reaches its endpoint with nothing in between.

BPF programs on a cgroup put the endpoint's address into `connect()` and `sendmsg()`, as Cilium's socket load balancing
does. Invariant: whom the shortcut does not serve, the listener behind it serves as if there were no shortcut.
"""
