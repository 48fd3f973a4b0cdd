"""What may stand where, read from parsers."""

import argparse

from proxy.cli import COMMANDS, parser_of
from proxy.completion.words import Argument, Flag, Value, words_of


def test_flags_and_arguments_are_told_apart_with_what_they_take() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("kind", choices=("a", "b"))
    parser.add_argument("names", metavar="NAME", nargs="*")
    parser.add_argument("-w", "--watch", action="store_true", help="go on")
    parser.add_argument("--token-file", metavar="FILE")
    parser.add_argument("--manifests", metavar="DIR", action="append")
    parser.add_argument("--scheduler", metavar="NAME")
    words = words_of("get", "show", parser, {"--scheduler": ("rr", "sh")})
    assert (words.name, words.help) == ("get", "show")
    assert words.flags == (
        Flag(("-w", "--watch"), "go on", None, False),
        Flag(("--token-file",), "", Value("FILE", is_file=True), False),
        Flag(("--manifests",), "", Value("DIR", is_file=True), True),
        Flag(("--scheduler",), "", Value("NAME", ("rr", "sh")), False),
    )
    assert words.arguments == (
        Argument(Value("kind", ("a", "b")), False),
        Argument(Value("NAME", is_service=True), True),
    )


def test_no_flag_of_any_command_is_left_out() -> None:
    for name, summary in COMMANDS.items():
        parser = parser_of(name)
        told = {each for flag in words_of(name, summary, parser, {}).flags for each in flag.names}
        assert told == set(parser._option_string_actions)
