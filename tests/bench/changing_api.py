"""ChangingAPI: asks the API server that `cluster_api` is for changes.

Imports the standard library and PyYAML. Invariant: one kept connection, and every wait is bounded.
"""

import http.client
import ssl
from pathlib import Path

import yaml

PATIENCE = 20.0


class ChangingAPI:
    """The server of a kubeconfig. One question at a time."""

    def __init__(self, kubeconfig: Path) -> None:
        cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        host, _, port = cluster["server"].removeprefix("https://").partition(":")
        self._connection = http.client.HTTPSConnection(host, int(port), timeout=PATIENCE, context=context)

    def change(self, service: int) -> float:
        """Change the Service's slice; gives the monotonic time before it was written."""
        self._connection.request("GET", f"/change/{service}")
        return self._answer() / 1e9

    def begin_bursts(self, rate: int, seconds: int) -> None:
        """Let so many Services change a second, in bursts, from now on; returns at once."""
        self._connection.request("GET", f"/bursts/{rate}/{seconds}")

    def end_bursts(self) -> int:
        """Wait until the bursts are over; gives how many Services have changed."""
        return self._answer()

    def close(self) -> None:
        self._connection.close()

    def _answer(self) -> int:
        return int(self._connection.getresponse().read())
