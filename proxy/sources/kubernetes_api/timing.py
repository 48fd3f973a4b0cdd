"""Timing: how long the Kubernetes source waits for what.

Invariant: the defaults are client-go's where it has one (tools/cache/reflector.go).
"""

import msgspec


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds, but for `page_size`, the objects asked for at a time. A patience is how long nothing at all may come."""

    page_size: int = 500
    first_delay: float = 0.5
    longest_delay: float = 30.0
    watch: int = 300
    """The server is asked to end a watch after this long or up to twice as long: not all watches at once."""
    watch_margin: float = 30.0
    """A watch that is silent for this long beyond its end is taken for dead."""
    list_patience: float = 60.0
    initial_events_patience: float = 15.0
    """A server that does not know streaming lists leaves their last bookmark out without a word."""
    first_state: float = 3.0
    """After this long without complete lists, the last known state serves."""
    first_save: float = 5.0
    save_interval: float = 60.0
    credentials: float = 60.0
    """Tokens, certificates and the kubeconfig are read again for a request that comes this long after the last read."""
