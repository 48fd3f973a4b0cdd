"""Document text: from the bytes of a file to its characters, and the names of those that nobody sees.

Invariant: a file that kubectl reads is read here: UTF-8 and UTF-16, with a byte order mark before any document.
"""

import codecs
import re
import unicodedata

from proxy.documents.syntax_error import DocumentSyntaxError

BYTE_ORDER_MARK = "\ufeff"
_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_COMMENT = re.compile(r"(?:^|[ \t])#")
_MOST_TOLD = 3


def text_of(content: bytes) -> str:
    """The characters of a file, without byte order marks where a line begins. Raises DocumentSyntaxError."""
    encoding = next((name for mark, name in _UTF16 if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise DocumentSyntaxError(f"is not {encoding[:6].rstrip('-').upper()} text (byte {error.start})") from error
    # go-yaml skips the mark at the beginning of any line, libyaml of the first one alone.
    return text.replace(f"\n{BYTE_ORDER_MARK}", "\n").removeprefix(BYTE_ORDER_MARK)


def is_invisible(text: str) -> bool:
    """Whether `text` holds a character that nobody sees."""
    return not text.isascii() and _INVISIBLE.search(text) is not None


def invisible_characters(text: str, first_line: int = 0) -> str:
    """The first of the invisible characters outside comments with their places, or an empty string if there is none.

    For example `line 3, column 8: U+3000 IDEOGRAPHIC SPACE`; `first_line` is where `text` begins in its file.
    """
    found = []
    for number, line in enumerate(text.split("\n"), start=first_line + 1):
        if line.isascii():
            continue
        comment = _COMMENT.search(line)
        end = comment.start() if comment else len(line)
        found += [
            f"line {number}, column {match.start() + 1}: {character_name(match[0])}"
            for match in _INVISIBLE.finditer(line, 0, end)
        ]
        if len(found) > _MOST_TOLD:
            return "; ".join([*found[:_MOST_TOLD], "and more"])
    return "; ".join(found)


def character_name(character: str) -> str:
    """`U+3000 IDEOGRAPHIC SPACE`."""
    name = unicodedata.name(character, "CONTROL CHARACTER" if unicodedata.category(character) == "Cc" else "")
    return f"U+{ord(character):04X} {name}".rstrip()
