"""Completion for zsh, as text to source or to keep as `_svcproxy` in a directory of $fpath.

Pure. Invariant: as for bash, nothing is run but, for the names of Services, the command itself.
"""

from collections.abc import Iterator, Sequence

from proxy.completion.words import Argument, CommandWords, Flag, Value

_HEAD = """\
#compdef svcproxy
# zsh completion for svcproxy. In ~/.zshrc, after compinit: source <(svcproxy completion zsh)

_svcproxy_services() {
    local -a names
    names=(${(f)"$(${service_program:-svcproxy} get services -o name 2>/dev/null)"})
    names=(${names#service/})
    compadd -a names
}

_svcproxy_namespaces() {
    local -a names
    names=(${(uf)"$(${service_program:-svcproxy} get services -A -o custom-columns=N:.service.metadata.namespace \\
        --no-headers 2>/dev/null)"})
    compadd -a names
}

"""
_TAIL = """
if [ "$funcstack[1]" = "_svcproxy" ]; then
    _svcproxy "$@"
else
    compdef _svcproxy svcproxy
fi
"""


def zsh_completion(commands: Sequence[CommandWords]) -> str:
    """The script."""
    lines = [
        "_svcproxy() {",
        '    local curcontext="$curcontext" state line service_program="$words[1]"',
        "    local -a commands",
        "    typeset -A opt_args",
        "    commands=(",
        *(f"        {_quoted(f'{command.name}:{command.help}')}" for command in commands),
        "    )",
        "    _arguments -C '(- *)--help[show help]' '(- *)--version[show the version]' \\",
        "        '1:command:->command' '*::argument:->argument'",
        '    case "$state" in',
        "    command) _describe command commands ;;",
        "    argument)",
        '        case "$words[1]" in',
        *(f"        {line}" for command in commands for line in _command(command)),
        "        esac",
        "        ;;",
        "    esac",
        "}",
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines) + _TAIL


def _command(command: CommandWords) -> Iterator[str]:
    specifications = [
        *(specification for flag in command.flags for specification in _flag(flag)),
        *(_argument(place, argument) for place, argument in enumerate(command.arguments, 1)),
    ]
    yield f"{command.name})"
    yield "    _arguments -s \\"
    yield from (f"        {each} \\" for each in specifications[:-1])
    yield f"        {specifications[-1]}"
    yield "    ;;"


def _flag(flag: Flag) -> Iterator[str]:
    """One specification for each name; a flag given once excludes its other names."""
    before = "*" if flag.is_repeated else f"({' '.join(flag.names)})"
    after = f":{_escaped(flag.value.name)}:{_action(flag.value)}" if flag.value is not None else ""
    for name in flag.names:
        yield _quoted(f"{before}{name}[{_escaped(flag.help)}]{after}")


def _argument(place: int, argument: Argument) -> str:
    where = "*" if argument.is_repeated else str(place)
    return _quoted(f"{where}:{_escaped(argument.value.name)}:{_action(argument.value)}")


def _action(value: Value) -> str:
    if value.words:
        return f"({' '.join(value.words)})"
    if value.is_file:
        return "_files"
    if value.is_namespace:
        return "_svcproxy_namespaces"
    return "_svcproxy_services" if value.is_service else " "


def _escaped(text: str) -> str:
    """Text inside a specification of _arguments."""
    for character in "\\[]:":
        text = text.replace(character, f"\\{character}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
