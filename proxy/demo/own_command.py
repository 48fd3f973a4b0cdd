"""How svcproxy was started, as its user may start it again.

Invariant: the command means the same in another terminal, whatever directory that is in.
"""

import shlex
import shutil
from pathlib import Path

NAME = "svcproxy"


def own_command(argument: str, interpreter: str) -> str:
    """The command, quoted for a shell; `argument` is the process's first one (sys.argv[0])."""
    path = Path(argument).absolute()
    if path.name != NAME:
        return f"{shlex.quote(interpreter)} -m proxy"
    found = shutil.which(NAME)
    return NAME if found is not None and Path(found).absolute() == path else shlex.quote(str(path))
