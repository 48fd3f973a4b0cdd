"""What may stand where on a command line, read from argparse's parsers.

Pure. Invariant: every flag and argument of a parser is there, once.
"""

import argparse
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_FILES = ("FILE", "DIR", "PATH")


class Value(NamedTuple):
    """What a flag's value or an argument may be: some `words`, a file, the name of a Service or of a namespace, or
    anything. `after` is what follows some words; `name` is for people."""

    name: str
    words: tuple[str, ...] = ()
    is_file: bool = False
    is_service: bool = False
    is_namespace: bool = False
    after: "tuple[tuple[str, Value], ...]" = ()


class Flag(NamedTuple):
    """One flag. `value` is None where it takes none; `is_repeated` is whether it may stand there more than once."""

    names: tuple[str, ...]
    help: str
    value: Value | None
    is_repeated: bool


class Argument(NamedTuple):
    """One argument by its place; `is_repeated` is whether all that follow are such as well."""

    value: Value
    is_repeated: bool


class CommandWords(NamedTuple):
    """What may follow one command."""

    name: str
    help: str
    flags: tuple[Flag, ...]
    arguments: tuple[Argument, ...]


def words_of(
    name: str, help: str, parser: argparse.ArgumentParser, words: Mapping[str, tuple[str, ...]]
) -> CommandWords:
    """The command `name` with this parser; `words` are those that the values of some flags and arguments may be, by the
    flag or by what stands for the argument in the help."""
    actions = parser._actions
    flags = tuple(_flag(action, words) for action in actions if action.option_strings)
    return CommandWords(name, help, flags, tuple(_arguments(actions, words)))


def _flag(action: argparse.Action, words: Mapping[str, tuple[str, ...]]) -> Flag:
    known = next((words[flag] for flag in action.option_strings if flag in words), ())
    value = None if action.nargs == 0 else _value(action, known)
    return Flag(tuple(action.option_strings), action.help or "", value, isinstance(action, argparse._AppendAction))


def _arguments(actions: list[argparse.Action], words: Mapping[str, tuple[str, ...]]) -> Iterator[Argument]:
    for action in actions:
        if not action.option_strings:
            yield Argument(_value(action, words.get(str(action.metavar), ())), action.nargs in ("*", "+"))


def _value(action: argparse.Action, words: tuple[str, ...]) -> Value:
    name = action.metavar if isinstance(action.metavar, str) else action.dest
    choices = tuple(map(str, action.choices)) if action.choices else getattr(action.type, "completions", words)
    is_service = not action.option_strings and name == "NAME"
    return Value(name, choices, name in _FILES, is_service, name == "NAMESPACE")
