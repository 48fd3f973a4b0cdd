"""Following a Kubernetes API: list and watch, one resource at a time, and what was known when the API was away.

Invariant: what to ask for and when is decided without a socket or a clock (`list_watch`); `connection` and `follower`
alone touch the network, and kubernetes_asyncio is imported on first use.
"""
