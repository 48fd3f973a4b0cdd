"""The kubectl of this machine, unmodified, for the API that a svcproxy carries.

Invariant: it writes into a home of its own below the test's directory, and every call is bounded in time.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.system.harness.manifests import Manifest
from tests.system.harness.process import PATIENCE, Process


class Kubectl:
    """`kubectl("get", "svc")` gives what that prints, and fails the test if kubectl does not succeed."""

    def __init__(self, directory: Path, kubeconfig: Path) -> None:
        self._directory = directory / "kubectl"
        self._directory.mkdir(exist_ok=True)
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._directory),
            "KUBECONFIG": str(kubeconfig),
        }

    def __call__(self, *words: str, stdin: str = "") -> str:
        completed = self._run(words, stdin)
        assert completed.returncode == 0, completed.stderr
        return completed.stdout

    def refused(self, *words: str, stdin: str = "") -> str:
        """The message of a command that must fail."""
        completed = self._run(words, stdin)
        assert completed.returncode == 1, completed.stdout
        return completed.stderr

    def apply(self, *manifests: Manifest, flags: tuple[str, ...] = ()) -> list[str]:
        """The lines of `kubectl apply`."""
        return self("apply", *flags, "-f", "-", stdin=as_list(*manifests)).splitlines()

    def table(self, *words: str) -> list[list[str]]:
        """The rows of `kubectl get` without their heading, in words."""
        return [line.split() for line in self("get", *words, "--no-headers").splitlines()]

    def read(self, *words: str) -> Any:
        """One object of `kubectl get`, or a list of them."""
        return json.loads(self("get", *words, "-o", "json"))

    def described(self, *words: str) -> dict[str, str]:
        """What stands behind each heading of `kubectl describe`."""
        headed = (line.partition(":") for line in self("describe", *words).splitlines())
        return {heading: " ".join(text.split()) for heading, _, text in headed}

    def patch(self, what: str, name: str, patch: object, *flags: str) -> str:
        return self("patch", what, name, *flags, "-p", json.dumps(patch))

    def edit(self, what: str, name: str, editor: str) -> str:
        """What `kubectl edit` says, with `editor` in the place of a person."""
        self._environment["KUBE_EDITOR"] = editor
        return self("edit", what, name)

    def refused_patch(self, what: str, name: str, patch: object) -> str:
        return self.refused("patch", what, name, "-p", json.dumps(patch))

    def patch_status(self, what: str, name: str, status: object) -> str:
        """Patch the status, or skip the test where kubectl is older than 1.24 and cannot."""
        if "--subresource" not in self("patch", "--help"):
            pytest.skip("this kubectl is older than 1.24 and has no --subresource")
        return self.patch(what, name, {"status": status}, "--subresource=status")

    @contextmanager
    def started(self, *words: str) -> Iterator[Process]:
        """A kubectl that runs until the context ends."""
        process = Process(["kubectl", *words], self._directory, self._environment)
        try:
            yield process
        finally:
            process.close()

    def _run(self, words: tuple[str, ...], stdin: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["kubectl", *words],
            cwd=self._directory,
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def as_list(*manifests: Manifest) -> str:
    """One document with all of them, as kubectl reads it; a single one stands for itself."""
    if len(manifests) == 1:
        return json.dumps(manifests[0])
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
