"""Kubernetes objects as frozen structs, their defaults and their validation.

Invariant: what leaves this room is immutable, and every field has the JSON name and meaning that the Kubernetes API
gives it.
"""
