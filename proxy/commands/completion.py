"""`svcproxy completion`: what makes a shell complete the commands, their flags and the names of Services.

Imports every command, to read its parser. Invariant: prints, and touches no file of the user's.
"""

import argparse
from collections.abc import Mapping
from types import MappingProxyType
from typing import TextIO

from proxy.cli import COMMANDS, parser_of
from proxy.completion.bash import bash_completion
from proxy.completion.words import words_of
from proxy.completion.zsh import zsh_completion
from proxy.configuration.config_values import LOG_FORMATS, LOG_LEVELS
from proxy.schedulers.registry import names

_SHELLS = MappingProxyType({"bash": bash_completion, "zsh": zsh_completion})
_EPILOG = """\
to have it in every new shell:
  bash:  echo 'source <(svcproxy completion bash)' >> ~/.bashrc
  zsh:   echo 'source <(svcproxy completion zsh)' >> ~/.zshrc      (after compinit)
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("shell", metavar="SHELL", choices=tuple(_SHELLS), help="bash or zsh")


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Print the script."""
    values = {"--scheduler": names(), "--log-level": LOG_LEVELS, "--log-format": LOG_FORMATS}
    commands = [words_of(name, summary, parser_of(name), values) for name, summary in COMMANDS.items()]
    output.write(_SHELLS[arguments.shell](commands))
    return 0
