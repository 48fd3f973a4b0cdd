"""What is wrong with an object, said the way the API server says it.

Invariant: `str(FieldError)` is the API server's text, byte for byte (k8s.io/apimachinery/pkg/util/validation/field),
and `str(Problem)` is one line.
"""

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One finding about one field.

    `reason` is the API's cause reason (FieldValueRequired, FieldValueInvalid, FieldValueNotSupported,
    FieldValueDuplicate, FieldValueForbidden, FieldValueTooLong); `text` is the rendered body, for example
    `Unsupported value: "X": supported values: "ClientIP", "None"`.
    """

    field: str
    reason: str
    text: str

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


class Problem(msgspec.Struct, frozen=True):
    """A finding with the place it was found: `where` is `FILE` or `FILE (document N)` or empty for a live
    object; `subject` is `Service default/myapp` or empty; `message` says what and, where there is one, the way out.
    `reason` is one word for the Event that the Service's author gets, or empty for no Event.
    """

    message: str
    subject: str = ""
    where: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.subject, self.message) if part)
