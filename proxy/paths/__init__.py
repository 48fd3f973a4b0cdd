"""The paths that packets may take from a frontend to an endpoint: the relay, and beside it what the kernel can do.

Every path reads the same plan. Invariant: the relay stands behind every other path. So a path may serve a frontend,
stop serving it, or fail, and its clients are still served.
"""
