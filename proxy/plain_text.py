"""Text of others in a line for people: a terminal, a log.

Names, annotations and file names may hold anything. Invariant: what `plain` gives is one line of printable characters,
whatever was in the text, so that nothing in it moves a cursor, hides or forges a line.
"""


def plain(text: str) -> str:
    """The text, with a backslash escape for each character that a terminal would take for more than text. Bytes of a
    file name that are no UTF-8 are shown as such."""
    # The usual case, without a look at each character.
    return text if text.isprintable() else "".join(map(_shown, text))


def plain_lines(text: str) -> str:
    """The same for text that has lines of its own."""
    return "\n".join(map(plain, text.split("\n")))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    # PEP 383: what Python makes of a byte that it cannot decode.
    if 0xDC80 <= number <= 0xDCFF:
        return f"\\x{number - 0xDC00:02x}"
    return ascii(character)[1:-1]
