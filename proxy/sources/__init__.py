"""Where objects come from: the manifest directory, and what later sources feed the same way.

Invariant: the rest of the program sees `Changes` and cannot tell sources apart.
"""
