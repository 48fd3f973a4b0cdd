"""YAML documents: splitting a file where its documents begin, and loading them as kubectl does.

Invariant: nothing but DocumentSyntaxError leaves `load_yaml`, whatever the text holds. Its line and column count from
the beginning of the file.
"""

import itertools
import re

import yaml

from proxy.documents.document_limits import USUAL_LIMITS, DocumentLimits
from proxy.documents.document_text import character_name
from proxy.documents.syntax_error import DocumentSyntaxError, at
from proxy.documents.yaml_composer import Composer

try:
    from yaml import CSafeLoader as _Parser
except ImportError:  # PyYAML without libyaml: slower, and otherwise the same
    from yaml import SafeLoader as _Parser  # type: ignore[assignment]

_DOCUMENT_START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_DIRECTIVE = re.compile(r"^%", re.MULTILINE)
_CONTENT = re.compile(r"^[ \t]*[^\s#]", re.MULTILINE)
_NOT_FOR_YAML = re.compile("[^\t\n\r -~\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def split_documents(text: str) -> list[tuple[int, str]]:
    """(first line, text) of each document, lines counted from 0.

    A line that begins with `---` always begins a document, even inside a block scalar (YAML 1.2, 9.1.2), so the text
    can be cut there. A file with directives (`%YAML`) stays whole: they reach across the cut.
    """
    if _DIRECTIVE.search(text):
        return [(0, text)]
    starts = [match.start() for match in _DOCUMENT_START.finditer(text)]
    first = starts[0] if starts else len(text)
    if _CONTENT.search(text, 0, first):
        starts.insert(0, 0)
    documents, line, counted = [], 0, 0
    for start, end in itertools.pairwise([*starts, len(text)]):
        line += text.count("\n", counted, start)
        counted = start
        documents.append((line, text[start:end]))
    return documents


def load_yaml(text: str, first_line: int = 0, limits: DocumentLimits = USUAL_LIMITS) -> list[object]:
    """Every document in `text`, which begins at `first_line` of its file. Raises DocumentSyntaxError."""
    _require_printable(text, first_line)
    parser = _Parser(text if text.endswith("\n") else f"{text}\n")
    try:
        return list(Composer(parser, first_line, limits).documents())
    except yaml.MarkedYAMLError as error:
        raise _positioned(error, first_line) from error
    except yaml.YAMLError as error:
        raise DocumentSyntaxError(" ".join(str(error).split())) from error
    finally:
        parser.dispose()


def _require_printable(text: str, first_line: int) -> None:
    found = _NOT_FOR_YAML.search(text)
    if found:
        line_start = text.rfind("\n", 0, found.start()) + 1
        line, column = text.count("\n", 0, found.start()), found.start() - line_start
        raise at(first_line + line + 1, column + 1, f"{character_name(found[0])} is not allowed here")


def _positioned(error: yaml.MarkedYAMLError, first_line: int) -> DocumentSyntaxError:
    mark = error.problem_mark or error.context_mark
    message = error.problem or error.context or "not valid YAML"
    context = f" ({error.context})" if error.context and error.problem else ""
    line, column = (mark.line, mark.column) if mark else (0, 0)
    return at(first_line + line + 1, column + 1, message + context)
