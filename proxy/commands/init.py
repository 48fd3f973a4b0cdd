"""`svcproxy init`: a directory of commented example manifests and a configuration to begin with.

Invariant: nothing that is there already is written over.
"""

import argparse
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from proxy.startup_error import StartupError

_EPILOG = """\
example:
  svcproxy init shop && cd shop && svcproxy run --config svcproxy.yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = _EPILOG
    parser.add_argument("directory", metavar="DIR", help="a directory that is not there yet, or empty")


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """Write the example and say what to do with it. Raises StartupError."""
    directory = Path(arguments.directory)
    try:
        if directory.exists() and any(directory.iterdir()):
            raise StartupError(f"init: {directory} is not empty: name a directory that is not there yet")
        shutil.copytree(packaged_example(), directory, copy_function=shutil.copyfile, dirs_exist_ok=True)
    except OSError as error:
        raise StartupError(f"init: {error.filename or directory}: {error.strerror or error}") from error
    where = shlex.quote(str(directory))
    output.write(
        f"{directory} has svcproxy.yaml, the settings, and services/web.yaml, a Service with two Pods.\n\n"
        "Start the processes that it names, each in a terminal of its own, and serve:\n\n"
        "  python3 -m http.server 8080 --bind 127.0.50.1\n"
        "  python3 -m http.server 8080 --bind 127.0.50.2\n"
        f"  cd {where} && svcproxy run --config svcproxy.yaml\n\n"
        "Then http://127.0.0.1:30090 goes round. A saved file is in force at once.\n"
    )
    return 0


def packaged_example() -> Path:
    """The directory that came with the program: inside an installed package, or config/example in a checkout."""
    here = Path(__file__).parent
    packaged = here / "example"
    return packaged if packaged.is_dir() else here.parents[1] / "config" / "example"
