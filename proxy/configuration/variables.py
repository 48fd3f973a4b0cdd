"""Variables: every flag of `svcproxy run` as `SVCPROXY_*` in the environment.

Pure. Invariant: a flag that is given wins over its variable, a variable wins over the file, and a message about a
value names the place that the value came from.
"""

import argparse
import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from proxy.configuration.flags import add_configuration_flags
from proxy.startup_error import StartupError

_PREFIX = "SVCPROXY_"
_TRUTHS: Mapping[str, bool] = MappingProxyType({"true": True, "1": True, "false": False, "0": False})


class Given(NamedTuple):
    """Arguments filled up from the environment, and the variables that were used, by their flags."""

    arguments: argparse.Namespace
    variables: Mapping[str, str]

    def named(self, error: StartupError) -> StartupError:
        """The error with each flag that was not given replaced by the variable that was."""
        message = str(error)
        config = getattr(self.arguments, "config", None)
        if "--config" in self.variables and message.startswith(f"{config}:"):
            message = f"--config: {message}"
        for flag, variable in self.variables.items():
            message = re.sub(rf"{flag}(?![\w-])", f"${variable}", message)
        return error if message == str(error) else StartupError(message)


def variable_of(flag: str) -> str:
    """`--state-dir` is SVCPROXY_STATE_DIR."""
    return _PREFIX + flag.lstrip("-").replace("-", "_").upper()


def filled_up(arguments: argparse.Namespace, environment: Mapping[str, str]) -> Given:
    """`arguments` with the variables of those configuration flags that were not given. Raises StartupError."""
    parser = argparse.ArgumentParser(add_help=False)
    add_configuration_flags(parser)
    filled = argparse.Namespace(**vars(arguments))
    used: dict[str, str] = {}
    for action in parser._actions:
        flag = next((each for each in action.option_strings if each.startswith("--")), "")
        text = environment.get(variable_of(flag)) if flag else None
        if not text or getattr(arguments, action.dest) is not None:
            continue
        used[flag] = variable_of(flag)
        setattr(filled, action.dest, _reader(action)(text, used[flag]))
    return Given(filled, used)


def _reader(action: argparse.Action) -> Callable[[str, str], object]:
    if isinstance(action, argparse._StoreTrueAction):
        return _truth
    if isinstance(action, argparse._AppendAction):
        return _paths if action.metavar == "PATH" else _words
    return lambda text, variable: text


def _truth(text: str, variable: str) -> bool:
    if text.lower() in _TRUTHS:
        return _TRUTHS[text.lower()]
    raise StartupError(f'${variable}: must be true or false, not "{text}"')


def _paths(text: str, variable: str) -> list[str]:
    """As $PATH."""
    return [part for part in text.split(os.pathsep) if part]


def _words(text: str, variable: str) -> list[str]:
    return text.split()
