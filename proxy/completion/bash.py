"""Completion for bash, as text to source.

Pure. Invariant: needs nothing but bash 4 (no bash-completion), and nothing is run but, for the names
of Services, the command itself.
"""

from collections.abc import Iterable, Iterator, Sequence

from proxy.completion.words import Argument, CommandWords, Value

_HEAD = """\
# bash completion for svcproxy. In ~/.bashrc: source <(svcproxy completion bash)

_svcproxy_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}")
}

_svcproxy_files() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
}

_svcproxy_services() {
    local names
    names=$("${COMP_WORDS[0]}" get services -o name 2>/dev/null)
    _svcproxy_words "${names//service\\//}"
}

_svcproxy_namespaces() {
    _svcproxy_words "$("${COMP_WORDS[0]}" get services -A -o custom-columns=N:.service.metadata.namespace \\
        --no-headers 2>/dev/null | sort -u)"
}

# The number of arguments before the cursor; $1 has the flags that take a value, with spaces around each.
_svcproxy_place() {
    local index count=0
    for ((index = 2; index < COMP_CWORD; index++)); do
        if [[ "$1" == *" ${COMP_WORDS[index]} "* ]]; then
            ((index++))
        elif [[ "${COMP_WORDS[index]}" != -* ]]; then
            ((count++))
        fi
    done
    echo "$count"
}

"""


def bash_completion(commands: Sequence[CommandWords]) -> str:
    """The script."""
    names = " ".join((*(command.name for command in commands), "--help", "--version"))
    lines = [
        "_svcproxy() {",
        "    COMPREPLY=()",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"',
        "    if ((COMP_CWORD == 1)); then",
        f'        _svcproxy_words "{names}"',
        "        return",
        "    fi",
        '    case "${COMP_WORDS[1]}" in',
        *(f"    {line}" for command in commands for line in _command(command)),
        "    esac",
        "}",
        "",
        "complete -F _svcproxy svcproxy",
    ]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _command(command: CommandWords) -> Iterator[str]:
    yield f"{command.name})"
    valued = [flag for flag in command.flags if flag.value is not None]
    after = [each for argument in command.arguments for each in argument.value.after]
    if valued or after:
        yield '    case "$previous" in'
        for flag in valued:
            assert flag.value is not None
            yield f"    {'|'.join(flag.names)}) {_offer(flag.value)}; return ;;"
        for word, following in after:
            yield f"    {word}) {_offer(following)}; return ;;"
        yield "    esac"
    flags = " ".join(name for flag in command.flags for name in flag.names)
    yield '    if [[ "$current" == -* ]]; then'
    yield f'        _svcproxy_words "{flags}"'
    yield "        return"
    yield "    fi"
    if command.arguments:
        taking = " ".join(name for flag in valued for name in flag.names)
        yield f'    case "$(_svcproxy_place " {taking} ")" in'
        yield from (f"    {line}" for line in _places(command.arguments))
        yield "    esac"
    yield "    ;;"


def _places(arguments: Iterable[Argument]) -> Iterator[str]:
    for place, argument in enumerate(arguments):
        yield f"{'*' if argument.is_repeated else place}) {_offer(argument.value)} ;;"


def _offer(value: Value) -> str:
    if value.words:
        return f'_svcproxy_words "{" ".join(value.words)}"'
    if value.is_file:
        return "_svcproxy_files"
    if value.is_namespace:
        return "_svcproxy_namespaces"
    return "_svcproxy_services" if value.is_service else ":"
