"""Kubernetes Events: what the author of a Service should know of it, where `kubectl describe` shows it.

May import `model`. Invariant: an Event is a courtesy; whatever becomes of it, nothing else is harmed or delayed.
"""
