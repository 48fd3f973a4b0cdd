"""The one exception of admission.

Invariant: it carries the API server's findings, and whoever raises it has left nothing taken.
"""

from proxy.model.problem import FieldError


class NotAdmittedError(Exception):
    """A version of a Service that may not come into force; `errors` is never empty."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors
