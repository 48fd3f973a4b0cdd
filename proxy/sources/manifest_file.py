"""One manifest file: from its text to valid objects and a list of what is wrong with the rest.

It opens no file. Invariant: nothing is raised, whatever the text holds. What cannot be used is a problem that names
the file and the document, and the file is then not `complete`.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from proxy.documents.document_limits import USUAL_LIMITS, require_limits, too_many_values
from proxy.documents.document_text import invisible_characters, is_invisible, text_of
from proxy.documents.json_documents import load_json
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml, split_documents
from proxy.model.decoding import DecodingError, Object, decode, objects
from proxy.model.defaults import default_endpoint_slice, default_service
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.endpoint_validation import validate_endpoint_slice, validate_endpoints, validate_pod
from proxy.model.endpoints import Endpoints
from proxy.model.field_errors import rendered
from proxy.model.node import Node
from proxy.model.pod import Pod
from proxy.model.problem import FieldError, Problem
from proxy.model.service import Service
from proxy.model.service_validation import validate_service

MOST_DOCUMENTS = 200_000


class Finding(msgspec.Struct, frozen=True):
    """A problem before it is known in which file and document it is."""

    subject: str
    message: str


class ManifestDocument(msgspec.Struct, frozen=True):
    """What one document holds. `ignored` names the kinds that the proxy has no use for, one entry an object."""

    objects: tuple[Object, ...] = ()
    findings: tuple[Finding, ...] = ()
    ignored: tuple[str, ...] = ()


class ManifestFile(msgspec.Struct, frozen=True):
    """What one file holds. `objects` pairs each object with the number of its document, counted from 1.

    `blank` is a file of nothing but blanks, as it stands for a moment while it is being written. `documents` holds
    the parsed documents by their text, for the next parse of the same file.
    """

    path: str
    objects: tuple[tuple[Object, int], ...] = ()
    problems: tuple[Problem, ...] = ()
    ignored: tuple[str, ...] = ()
    blank: bool = False
    documents: Mapping[str, tuple[ManifestDocument, ...]] = {}

    @property
    def complete(self) -> bool:
        """Whether every object that the author wrote is in `objects`."""
        return not self.problems


def parse_manifest(path: str, content: bytes, previous: ManifestFile | None = None) -> ManifestFile:
    """Parse a whole file. Documents that `previous` has with the same text are taken from there."""
    try:
        text = text_of(content)
    except DocumentSyntaxError as error:
        return unusable(path, str(error))
    if text.count("\n---") >= MOST_DOCUMENTS:
        return unusable(path, f"holds more than {MOST_DOCUMENTS:,} documents: split it")
    known = previous.documents if previous else {}
    parsed: dict[str, tuple[ManifestDocument, ...]] = {}
    documents: list[ManifestDocument] = []
    for line, part in _parts(path, text):
        try:
            parsed[part] = known[part] if part in known else _parse_part(path, part, line)
            found = parsed[part]
        except DocumentSyntaxError as error:
            found = (ManifestDocument(findings=(Finding("", str(error)),)),)
        documents += _naming_the_invisible(found, part, line)
    return _numbered(path, documents, parsed, blank=not text.strip())


def _numbered(
    path: str,
    documents: Iterable[ManifestDocument],
    parsed: Mapping[str, tuple[ManifestDocument, ...]],
    *,
    blank: bool,
) -> ManifestFile:
    numbered = tuple(enumerate(documents, start=1))
    return ManifestFile(
        path,
        objects=tuple((found, number) for number, document in numbered for found in document.objects),
        problems=tuple(
            Problem(finding.message, finding.subject, where(path, number))
            for number, document in numbered
            for finding in document.findings
        ),
        ignored=tuple(kind for _, document in numbered for kind in document.ignored),
        blank=blank,
        documents=parsed,
    )


def unusable(path: str, message: str) -> ManifestFile:
    """A file that could not even be read as text."""
    return ManifestFile(path, problems=(Problem(message, where=path),))


def where(path: str, document: int) -> str:
    """`FILE (document N)`, the way every message names a place in a manifest."""
    return f"{path} (document {document})"


def subject_of(found: Object) -> str:
    """`Service default/myapp`, the way every message names an object."""
    metadata = found.metadata
    name = f"{metadata.namespace}/{metadata.name}" if metadata.namespace else metadata.name
    return f"{type(found).__name__} {name}"


def _parts(path: str, text: str) -> list[tuple[int, str]]:
    """(first line, text) of each part of a file that can be parsed by itself."""
    return [(0, text)] if _is_json(path, text) else split_documents(text)


def _parse_part(path: str, part: str, first_line: int) -> tuple[ManifestDocument, ...]:
    documents = _load(path, part, first_line)
    suspicious = is_invisible(part)
    return tuple(_parse_document(document, suspicious) for document in documents)


def _load(path: str, text: str, first_line: int) -> list[object]:
    """The documents of a part. JSON is read as JSON whatever the file's name is, as kubectl does it."""
    if _is_json(path, text):
        return _load_json(text)
    try:
        return load_yaml(text, first_line)
    except DocumentSyntaxError:
        if text.lstrip().startswith("{"):
            with contextlib.suppress(DocumentSyntaxError):
                return _load_json(text)
        raise


def _is_json(path: str, text: str) -> bool:
    return path.endswith(".json") and text.lstrip()[:1] in ("{", "[", "")


def _load_json(text: str) -> list[object]:
    if sum(map(text.count, "{[,")) > USUAL_LIMITS.values:
        raise DocumentSyntaxError(too_many_values(USUAL_LIMITS))
    documents = load_json(text)
    require_limits(documents, USUAL_LIMITS)
    return documents


def _naming_the_invisible(
    documents: tuple[ManifestDocument, ...], part: str, first_line: int
) -> tuple[ManifestDocument, ...]:
    """`documents`; if anything is wrong with them, the last one also names the invisible characters of the part."""
    if not any(document.findings for document in documents) or not is_invisible(part):
        return documents
    characters = invisible_characters(part, first_line)
    if not characters:
        return documents
    finding = Finding("", f"holds characters that cannot be seen ({characters}): replace them")
    *others, last = documents
    return (*others, replace(last, findings=(*last.findings, finding)))


def _parse_document(document: object, suspicious: bool) -> ManifestDocument:
    """The valid objects of one document, with static defaults. The keys of a `suspicious` one must all be visible."""
    found: list[Object] = []
    findings: list[Finding] = []
    ignored: list[str] = []
    if suspicious and (names := tuple(_invisible_keys(document))):
        findings += [Finding("", f"{rendered(name)}: a key has a character that cannot be seen") for name in names]
        return ManifestDocument(findings=tuple(findings))
    try:
        for item in objects(document):
            _parse_object(item, found, findings, ignored)
    except DecodingError as error:
        findings += _findings(error.subject, error.errors)
    return ManifestDocument(tuple(found), tuple(findings), tuple(ignored))


def _parse_object(item: dict[str, object], found: list[Object], findings: list[Finding], ignored: list[str]) -> None:
    try:
        decoded = decode(item)
    except DecodingError as error:
        findings += _findings(error.subject, error.errors)
        return
    if decoded is None:
        ignored.append(str(item["kind"]))
        return
    defaulted, errors = _defaulted_and_validated(decoded)
    if errors:
        findings += _findings(subject_of(decoded), errors)
    else:
        found.append(defaulted)


def _invisible_keys(document: object) -> Iterator[str]:
    """The keys with invisible characters, in a document that is within its limits."""
    if isinstance(document, dict):
        yield from (key for key in document if is_invisible(key))
    if isinstance(document, dict | list):
        for member in document.values() if isinstance(document, dict) else document:
            yield from _invisible_keys(member)


def _defaulted_and_validated(decoded: Object) -> tuple[Object, tuple[FieldError, ...]]:
    match decoded:
        case Service():
            service = default_service(decoded)
            return service, validate_service(service)
        case EndpointSlice():
            endpoint_slice = default_endpoint_slice(decoded)
            return endpoint_slice, validate_endpoint_slice(endpoint_slice, allow_loopback=True)
        case Endpoints():
            return decoded, validate_endpoints(decoded, allow_loopback=True)
        case Pod():
            return decoded, validate_pod(decoded, allow_loopback=True)
        case Node():
            return decoded, ()


def _findings(subject: str, errors: Iterable[FieldError]) -> Iterator[Finding]:
    return (Finding(subject, str(error)) for error in errors)
