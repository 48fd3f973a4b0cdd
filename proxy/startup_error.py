"""StartupError: what keeps the program from starting, said in one line.

Invariant: `str(error)` is one line for a person that names the thing at fault and the way
out; the command line prints it as it is and exits with status 2; after a NoFirstStateError with 1.
"""


class StartupError(Exception):
    """A mistake in configuration or surroundings that only the user can put right."""


class NoFirstStateError(StartupError):
    """The proxy that is asked knows of no Service yet, and says why."""
