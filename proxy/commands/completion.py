"""`svcproxy completion`: what makes a shell complete the commands, their flags and the names of Services.

Invariant: prints, and touches no file of the user's.
"""

import argparse
from collections.abc import Mapping
from types import MappingProxyType
from typing import TextIO

from proxy.cli import COMMANDS, parser_of
from proxy.client.kinds import KINDS, NAMES
from proxy.client.top_columns import ENDPOINTS, SERVICES
from proxy.completion.bash import bash_completion
from proxy.completion.fish import fish_completion
from proxy.completion.words import CommandWords, Value, words_of
from proxy.completion.zsh import zsh_completion
from proxy.configuration.config_values import CAPTURES, LOG_FORMATS, LOG_LEVELS
from proxy.dataplane.close_reason import CloseReason
from proxy.schedulers.registry import names

_SHELLS = MappingProxyType({"bash": bash_completion, "zsh": zsh_completion, "fish": fish_completion})
_EPILOG = """\
to have it in every new shell:
  bash:  echo 'source <(svcproxy completion bash)' >> ~/.bashrc
  zsh:   echo 'source <(svcproxy completion zsh)' >> ~/.zshrc      (after compinit)
  fish:  echo 'svcproxy completion fish | source' >> ~/.config/fish/config.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("shell", metavar="SHELL", choices=tuple(_SHELLS), help="bash, zsh or fish")


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print the script."""
    commands = [words_of(name, summary, parser_of(name), _words(name)) for name, summary in COMMANDS.items()]
    commands = [_with_explained(command) if command.name == "explain" else command for command in commands]
    output.write(_SHELLS[arguments.shell](commands))
    return 0


def _words(command: str) -> Mapping[str, tuple[str, ...]]:
    """What the values of this command's flags and arguments may be."""
    columns = (each.header for kind in KINDS for each in kind.columns) if command == "get" else ()
    of_top = (each.header for each in (*SERVICES, *ENDPOINTS)) if command == "top" else ()
    return {
        "--scheduler": names(),
        "--log-level": LOG_LEVELS,
        "--log-format": LOG_FORMATS,
        "--capture": CAPTURES,
        "--shortcut": ("auto", "off"),
        "--dns": ("off",),
        "--sort-by": tuple(dict.fromkeys(header.lower() for header in (*columns, *of_top))),
        "KIND": ("service",) if command == "describe" else tuple(dict.fromkeys(NAMES.values())),
    }


def _with_explained(command: CommandWords) -> CommandWords:
    """`explain` takes the name of a Service or of a reason, by the word before it."""
    (what,) = command.arguments
    reasons = Value("REASON", tuple(reason.value for reason in CloseReason))
    after = (("service", Value("NAME", is_service=True)), ("reason", reasons))
    value = what.value._replace(words=("service", "reason"), after=after)
    return command._replace(arguments=(what._replace(value=value),))
