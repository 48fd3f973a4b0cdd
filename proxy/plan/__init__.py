"""From Services, slices and the node to frontends and pools, and the difference between two such plans.

No sockets, no asyncio, no clock. Invariant: the same objects give the same plan, whatever the order they arrived in.
"""
