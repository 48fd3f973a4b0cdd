"""Where the user of a demo finds what may be changed while it runs.

Imports nothing of ours. Invariant: both paths are absolute, so that they mean the same in another terminal.
"""

from pathlib import Path
from typing import NamedTuple


class Places(NamedTuple):
    """The directory of `manifests`, and the file `kubeconfig`, which leads kubectl to the demo's API."""

    manifests: Path
    kubeconfig: Path
