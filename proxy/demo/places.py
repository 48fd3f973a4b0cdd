"""Where the user of a demo finds what may be changed while it runs.

Invariant: all mean the same in another terminal.
"""

from pathlib import Path
from typing import NamedTuple


class Places(NamedTuple):
    """The directory of `manifests`, the file `kubeconfig`, which leads kubectl to the demo's API, and the `command`
    that looks at the demo."""

    manifests: Path
    kubeconfig: Path
    command: str
