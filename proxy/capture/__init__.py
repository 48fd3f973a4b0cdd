"""How a client's packet finds a worker's socket.

Invariant: what the kernel delivers follows the plan; nothing here knows of endpoints.
"""
