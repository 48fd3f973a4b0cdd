"""One module a command, each with `add_arguments` and `run`.

Invariant: output, errors and environment are arguments, so that a command can be called as a function; a command that
only reads changes nothing.
"""
