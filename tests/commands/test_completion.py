"""`svcproxy completion`, in real shells: what they offer at the cursor."""

import io
import os
import pty
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from proxy.cli import COMMANDS, main
from proxy.completion.bash import bash_completion
from proxy.completion.zsh import zsh_completion
from proxy.schedulers.registry import names

PATIENCE = 30.0


def script(shell: str) -> str:
    output = io.StringIO()
    assert main(["completion", shell], output, io.StringIO(), {}) == 0
    return output.getvalue()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the scripts, a file to complete, and a `svcproxy` that knows two Services."""
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / f"svcproxy.{shell}").write_text(script(shell))
    (tmp_path / "my token").touch()
    program = tmp_path / "svcproxy"
    program.write_text(
        '#!/bin/sh\n[ "$*" = "get services -o name" ] && printf "service/web\\nservice/mail\\n"\n'
        'case "$*" in *custom-columns*) echo default; echo data; echo data;; esac\n'
    )
    program.chmod(0o755)
    return tmp_path


def bash_offers(place: Path, line: str) -> list[str]:
    """What bash offers at the end of the line."""
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    commands = (
        f"source ./svcproxy.bash; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        '_svcproxy; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    run = subprocess.run(
        ["bash", "--norc", "-uc", commands],
        cwd=place,
        env={"PATH": f"{place}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert run.stderr == ""
    return run.stdout.split("\n")[:-1]


OFFERS = [
    ("svcproxy de", ["demo", "describe"]),
    ("svcproxy --v", ["--version"]),
    ("svcproxy get ", ["services", "endpoints", "connections", "affinity", "names", "workers"]),
    ("svcproxy get conn", ["connections"]),
    ("svcproxy get svc ", ["web", "mail"]),
    ("svcproxy get svc web m", ["mail"]),
    ("svcproxy get -n data svc w", ["web"]),
    ("svcproxy get -o ", ["wide", "json", "yaml", "name", "jsonpath=", "custom-columns="]),
    ("svcproxy get svc --all", ["--all-namespaces"]),
    ("svcproxy get --token-file my", ["my token"]),
    ("svcproxy describe service ma", ["mail"]),
    ("svcproxy run --sched", ["--scheduler"]),
    ("svcproxy run --scheduler lbl", ["lblc", "lblcr"]),
    ("svcproxy run --log-level w", ["warning"]),
    ("svcproxy completion ", ["bash", "zsh", "fish"]),
    ("svcproxy get -n da", ["data"]),
    ("svcproxy get --sort-by act", ["active"]),
    ("svcproxy run --capture s", ["sklookup"]),
    ("svcproxy explain ", ["service", "reason"]),
    ("svcproxy explain service w", ["web"]),
    ("svcproxy explain reason connect_r", ["connect_refused"]),
]


@pytest.mark.parametrize(("line", "offers"), OFFERS)
def test_bash_offers_what_may_stand_there(place: Path, line: str, offers: list[str]) -> None:
    assert bash_offers(place, line) == offers


def test_bash_offers_every_command_and_scheduler(place: Path) -> None:
    assert bash_offers(place, "svcproxy ") == [*COMMANDS, "--help", "--version"]
    assert bash_offers(place, "svcproxy run --scheduler ") == list(names())


@pytest.mark.parametrize("line", ["svcproxy unknown ", "svcproxy get --server "])
def test_bash_offers_nothing_where_anything_may_stand(place: Path, line: str) -> None:
    assert bash_offers(place, line) in ([], [""])


def zsh_completed(place: Path, line: str) -> str:
    """The line after Tab, in a zsh that completes as far as there is one way."""
    environment = {"PATH": f"{place}:{os.environ['PATH']}", "HOME": str(place), "TERM": "dumb", "ZDOTDIR": str(place)}
    (place / ".zshrc").write_text(
        "PS1='> '; unsetopt prompt_cr prompt_sp; autoload -U compinit; compinit -u -d ./dump; source ./svcproxy.zsh\n"
        "zstyle ':completion:*' menu no; setopt no_list_beep no_auto_list\n"
        # The line as it is then, for the test to read.
        "show() { print -r -- \"<$BUFFER>\" > completed; }; zle -N show; bindkey '^X' show; : > started\n"
    )
    return type_and_read(place, environment, f"{line}\t\x18", place / "completed")


def type_and_read(place: Path, environment: dict[str, str], keys: str, result: Path) -> str:
    """Type into zsh on a terminal of its own until it has written its line."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place)
        os.execve(shutil.which("zsh") or "zsh", ["zsh", "-i"], environment)
    try:
        wait_for(terminal, place / "started")
        os.write(terminal, keys.encode())
        wait_for(terminal, result)
        return result.read_text().strip()
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)


def wait_for(terminal: int, file: Path) -> None:
    """Read what the shell draws until the file is there and complete."""
    for _ in range(int(PATIENCE / 0.05)):
        if file.exists() and (file.name == "started" or file.read_text().endswith(">\n")):
            return
        if select.select([terminal], [], [], 0.05)[0]:
            os.read(terminal, 4096)
    raise AssertionError(f"zsh never wrote {file.name}")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("svcproxy desc", "svcproxy describe "),
        ("svcproxy get conn", "svcproxy get connections "),
        ("svcproxy get svc we", "svcproxy get svc web "),
        ("svcproxy get -n data svc ma", "svcproxy get -n data svc mail "),
        ("svcproxy get -o ya", "svcproxy get -o yaml "),
        ("svcproxy get svc --all", "svcproxy get svc --all-namespaces "),
        ("svcproxy run --scheduler tw", "svcproxy run --scheduler twos "),
        ("svcproxy get --token-file my", r"svcproxy get --token-file my\ token "),
    ],
)
def test_zsh_completes_what_there_is_one_way_for(place: Path, line: str, completed: str) -> None:
    assert zsh_completed(place, line) == f"<{completed}>"


def test_the_scripts_of_no_commands_are_scripts() -> None:
    assert "complete -F _svcproxy svcproxy" in bash_completion(())
    assert zsh_completion(()).startswith("#compdef svcproxy\n")


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
@pytest.mark.parametrize(
    ("line", "offers"),
    [
        ("svcproxy de", {"demo", "describe"}),
        ("svcproxy get svc we", {"web"}),
        ("svcproxy get -n d", {"data", "default"}),
        ("svcproxy run --scheduler lbl", {"lblc", "lblcr"}),
        ("svcproxy explain reason connect_r", {"connect_refused"}),
    ],
)
def test_fish_offers_what_may_stand_there(place: Path, line: str, offers: set[str]) -> None:
    run = subprocess.run(
        ["fish", "--no-config", "-c", f"source svcproxy.fish; complete -C '{line}'"],
        cwd=place,
        env={"PATH": f"{place}:{os.environ['PATH']}", "HOME": str(place)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert offers <= {each.partition("\t")[0] for each in run.stdout.splitlines()}


def test_another_shell_is_a_mistake() -> None:
    errors = io.StringIO()
    assert main(["completion", "tcsh"], io.StringIO(), errors, {}) == 2
    assert "invalid choice: 'tcsh'" in errors.getvalue()
