"""The Dockerfile: its structure, and the steps that need no container engine, taken in a clean environment.

The wheel is built and installed without the package index: the environment sees the libraries of the one that runs the
tests. The image itself is not built here.
"""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

pytestmark = pytest.mark.timeout(300)

REPOSITORY = Path(__file__).parents[1]
BOUND_SECONDS = 50
ANY_PORTS = ("--metrics-bind-address", "127.0.0.1:0", "--healthz-bind-address", "127.0.0.1:0")


def instructions() -> list[tuple[str, str]]:
    """(instruction, argument) of each line, continued lines joined and comments left out."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def arguments(instruction: str) -> list[str]:
    return [argument for name, argument in instructions() if name == instruction]


def test_it_has_two_stages_from_one_slim_image() -> None:
    first, second = arguments("FROM")
    assert first == f"{second} AS build"
    assert re.fullmatch(r"python:3\.\d+-slim", second)


def test_it_runs_svcproxy_as_a_number_that_is_not_root() -> None:
    names = [name for name, _ in instructions()]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", arguments("USER")[-1])
    assert names.index("USER") > max(index for index, name in enumerate(names) if name == "RUN")
    assert json.loads(arguments("ENTRYPOINT")[-1]) == ["svcproxy"]
    assert json.loads(arguments("CMD")[-1])[0] == "run"


def test_everything_it_copies_is_there_and_not_ignored() -> None:
    allowed = {line.removeprefix("!") for line in (REPOSITORY / ".dockerignore").read_text().splitlines()}
    for argument in arguments("COPY"):
        if argument.startswith("--from"):
            continue
        *sources, _ = argument.split()
        assert set(sources) <= allowed
        assert all((REPOSITORY / source).exists() for source in sources)


def test_the_hot_modules_are_compiled_where_the_build_is_told_to() -> None:
    names = [name for name, _ in instructions()]
    assert arguments("ARG") == ["COMPILED=false"]
    build = next(argument for name, argument in instructions()[names.index("ARG") :] if name == "RUN")
    assert 'if [ "$COMPILED" = true ]; then apt-get' in build
    assert "HATCH_BUILD_HOOK_ENABLE_MYPYC=$COMPILED /opt/svcproxy/bin/pip install" in build
    # An enabled hook names what it builds with, a disabled one nothing.
    asked = "import hatchling.build; print(hatchling.build.get_requires_for_build_wheel())"
    needs = {
        value: run([sys.executable, "-c", asked], REPOSITORY, {"HATCH_BUILD_HOOK_ENABLE_MYPYC": value})
        for value in ("true", "false")
    }
    assert "hatch-mypyc" in needs["true"]
    assert "hatch-mypyc" not in needs["false"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it."""
    directory = tmp_path_factory.mktemp("image")
    source = directory / "source"
    source.mkdir()
    for argument in arguments("COPY"):
        if not argument.startswith("--from"):
            *copied, target = argument.split()
            (source / target).parent.mkdir(parents=True, exist_ok=True)
            for each in copied:
                destination = source / target if len(copied) == 1 else source / target / each
                destination.symlink_to(REPOSITORY / each)
    venv.create(directory / "venv")
    (site,) = (directory / "venv").glob("lib/python3.*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"])
    build = [sys.executable, "-c", "import sys, hatchling.build; print(hatchling.build.build_wheel(sys.argv[1]))"]
    built = run([*build, str(directory)], source)
    # The pip of these tests, as to put one into the environment takes longer than all else here.
    pip = [sys.executable, "-m", "pip", "--python", str(directory / "venv/bin/python"), "--disable-pip-version-check"]
    install = ["install", "--no-index", "--no-deps", "--ignore-installed"]
    run([*pip, *install, str(directory / built.split()[-1])], directory)
    return directory / "venv"


def run(command: list[str], directory: Path, variables: Mapping[str, str] = MappingProxyType({})) -> str:
    result = subprocess.run(
        command,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        check=False,
        env=os.environ | variables,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_installed_command_says_its_version(environment: Path, tmp_path: Path) -> None:
    assert run([str(environment / "bin/svcproxy"), "--version"], tmp_path).startswith("svcproxy ")
    where = [str(environment / "bin/python"), "-c", "import proxy; print(proxy.__file__)"]
    assert run(where, tmp_path).startswith(str(environment))


def test_the_page_is_installed_with_it(environment: Path) -> None:
    (installed,) = environment.glob("lib/python3.*/site-packages/proxy/admin/page")
    page = REPOSITORY / "proxy" / "admin" / "page"
    assert {file.name for file in installed.iterdir()} == {file.name for file in page.iterdir()}


def test_the_installed_command_serves_until_it_is_told_to_stop(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    command = [str(environment / "bin/svcproxy"), "run", "--manifests", "manifests", "--state-dir", "state"]
    command += [
        "--log-format",
        "json",
        "--metrics-bind-address",
        "127.0.0.1:0",
        "--healthz-bind-address",
        "127.0.0.1:0",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stderr is not None
            assert any(json.loads(line)["event"] == "serving" for line in process.stderr)
            process.send_signal(signal.SIGTERM)
            assert process.wait(BOUND_SECONDS) == 0
        finally:
            process.kill()


def test_a_pod_without_its_account_is_told_so(environment: Path, tmp_path: Path) -> None:
    command = [str(environment / "bin/svcproxy"), "run", "--in-cluster", "--state-dir", str(tmp_path)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("KUBERNETES_")}
    result = subprocess.run(
        [*command, *ANY_PORTS],
        capture_output=True,
        text=True,
        timeout=BOUND_SECONDS,
        env=clean,
        check=False,
    )
    assert result.returncode == 2
    assert "--in-cluster: KUBERNETES_SERVICE_HOST is not set" in result.stderr
