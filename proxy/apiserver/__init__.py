"""The embedded Kubernetes API of a machine without a cluster: kubectl's other end.

Invariant: a success is answered only after it is on disk, and bad input gets the API server's own Status.
"""
