"""One svcproxy command that ends by itself, run to its end.

Invariant: bounded in time, and it may write below its own directory alone.
"""

import subprocess
import sys
from pathlib import Path

from tests.system.harness.process import PATIENCE
from tests.system.harness.svcproxy import environment_in


def svcproxy_command(directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Its exit status and output."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        cwd=directory,
        env=environment_in(directory),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
