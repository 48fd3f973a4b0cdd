"""Completion for fish, as text to source or to keep as `svcproxy.fish` in ~/.config/fish/completions.

Pure. Invariant: as for bash, nothing is run but, for names, the command itself.
"""

from collections.abc import Iterator, Sequence

from proxy.completion.words import Argument, CommandWords, Flag, Value

_HEAD = """\
# fish completion for svcproxy. In ~/.config/fish/config.fish: svcproxy completion fish | source

function __svcproxy_services
    svcproxy get services -o name 2>/dev/null | string replace 'service/' ''
end

function __svcproxy_namespaces
    svcproxy get services -A -o 'custom-columns=N:.service.metadata.namespace' --no-headers 2>/dev/null | sort -u
end

function __svcproxy_previous
    set -l words (commandline -opc)
    contains -- $words[-1] $argv
end

complete -c svcproxy -f
"""


def fish_completion(commands: Sequence[CommandWords]) -> str:
    """The script."""
    lines = [
        *(f"complete -c svcproxy -n __fish_use_subcommand -a {each.name} -d {_quoted(each.help)}" for each in commands),
        "complete -c svcproxy -n __fish_use_subcommand -l version -d 'show the version'",
        *(line for command in commands for line in _command(command)),
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _command(command: CommandWords) -> Iterator[str]:
    seen = f"__fish_seen_subcommand_from {command.name}"
    for flag in command.flags:
        yield f"complete -c svcproxy -n '{seen}' {_flag(flag)}"
    for argument in command.arguments:
        yield from _argument(argument, seen)


def _flag(flag: Flag) -> str:
    names = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names]
    value = f" -x{_offer(flag.value)}" if flag.value is not None else ""
    if flag.value is not None and flag.value.is_file:
        value = " -r -F"
    return f"{' '.join(names)}{value} -d {_quoted(flag.help)}"


def _argument(argument: Argument, seen: str) -> Iterator[str]:
    value = argument.value
    if value.is_file:
        yield f"complete -c svcproxy -n '{seen}' -F"
    elif offer := _offer(value):
        yield f"complete -c svcproxy -n '{seen}'{offer}"
    for word, following in value.after:
        yield f"complete -c svcproxy -n '{seen}; and __svcproxy_previous {word}'{_offer(following)}"


def _offer(value: Value) -> str:
    if value.words:
        return f" -a {_quoted(' '.join(value.words))}"
    if value.is_service:
        return " -a '(__svcproxy_services)'"
    return " -a '(__svcproxy_namespaces)'" if value.is_namespace else ""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
