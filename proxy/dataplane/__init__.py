"""The data plane: reactor, listeners, TCP relays, UDP flows and the worker that holds them; the only hot code.

Never sources, control, admin or an API client. Invariant: it knows frontends and pools, nothing of Kubernetes, and
learns of changes through messages alone.
"""
