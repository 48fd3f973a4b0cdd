"""StartupError: what keeps the program from starting, said in one line.

Imports nothing of ours. Invariant: `str(error)` is one line for a person that names the thing at fault and the way
out; the command line prints it as it is and exits with status 2.
"""


class StartupError(Exception):
    """A mistake in configuration or surroundings that only the user can put right."""
