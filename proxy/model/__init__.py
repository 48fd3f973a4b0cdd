"""Kubernetes objects as frozen structs, their defaults and their validation.

Imports nothing of ours and neither asyncio nor sockets. Invariant: what leaves this room is immutable, and
every field has the JSON name and meaning that the Kubernetes API gives it.
"""
