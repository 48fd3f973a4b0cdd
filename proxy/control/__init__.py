"""The control process: it opens every listening socket, turns changes into messages and keeps the proxy's phases.

Nothing below imports it. Invariant: a listening socket that the new plan still has is never closed, and one frontend's
trouble is no other's.
"""
