"""The compiled wheel, for the subject that is svcproxy with its hot modules compiled.

Imports the standard library. Invariant: what is measured was built from the sources as they are now, or is left out
with a line that says why.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON = REPOSITORY / "build/compiled/.venv/bin/python"


def is_installed() -> bool:
    """Build the wheel and install it for `PYTHON`, unless that is done; False, and a line, where it cannot be."""
    compiler = os.environ.get("CC", "cc")
    for program in (compiler, "make"):
        if shutil.which(program) is None:
            print(
                f"svcproxy compiled is left out: there is no {program} (Debian: apt-get install gcc make)",
                file=sys.stderr,
            )
            return False
    made = subprocess.run(["make", "-C", str(REPOSITORY), "--no-print-directory", "installed-compiled"], check=False)
    if made.returncode:
        print("svcproxy compiled is left out: its wheel could not be built", file=sys.stderr)
    return not made.returncode
