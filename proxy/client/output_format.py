"""What `-o` takes: kubectl's forms of output.

Pure. Invariant: a format that was read can show anything.
"""

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from proxy.client.json_path import Path, Template, custom_columns, found, parse_template, shown
from proxy.reports.table import render_table

_PLAIN = ("wide", "json", "yaml", "name")
_NONE = "<none>"


class Format(NamedTuple):
    """A form of output by its name; what follows `=` in it is the template or the columns."""

    name: str
    template: Template | None = None
    columns: Sequence[tuple[str, Path]] = ()

    @property
    def is_data(self) -> bool:
        """Whether a program reads it, so that nothing may stand beside it."""
        return self.name in ("json", "yaml", "jsonpath", "custom-columns")


TABLE = Format("")


class ReadFormat:
    """For argparse's `type`. `completions` are the words to offer."""

    def __init__(self, plain: Sequence[str] = _PLAIN) -> None:
        self._plain = tuple(plain)
        self.completions = (*self._plain, "jsonpath=", "custom-columns=")

    def __call__(self, text: str) -> Format:
        name, equals, rest = text.partition("=")
        try:
            if name == "jsonpath" and rest:
                return Format(name, template=parse_template(rest if "{" in rest else f"{{{rest}}}"))
            if name == "custom-columns" and rest:
                return Format(name, columns=custom_columns(rest))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{name}: {error}") from error
        if equals or text not in self._plain:
            words = ", ".join((*self._plain, "jsonpath=TEMPLATE", "custom-columns=HEADER:PATH,..."))
            raise argparse.ArgumentTypeError(f'"{text}" is not one of {words}')
        return Format(text)


def data_text(format: Format, things: Sequence[Any], *, single: bool = False, headers: bool = True) -> str:
    """The things in a form for programs. `single` is whether one was asked for by its name: a template then begins at
    that, and else at a list with `items`."""
    if format.name == "json":
        return msgspec.json.format(msgspec.json.encode(things)).decode() + "\n"
    if format.name == "yaml":
        return msgspec.yaml.encode(things).decode()
    plain = [msgspec.to_builtins(thing) for thing in things]
    if format.template is not None:
        return format.template.filled(plain[0] if single and len(plain) == 1 else {"items": plain})
    rows = [[_cell(found(path, thing)) for _, path in format.columns] for thing in plain]
    text = render_table([header for header, _ in format.columns], rows)
    return text if headers else text.partition("\n")[2]


def _cell(values: Iterable[Any]) -> str:
    return ",".join(map(shown, values)) or _NONE
