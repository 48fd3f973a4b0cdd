"""The demo's manifests: where they are kept, a copy that the user may edit, and what is in it.

Invariant: an existing copy is never written over, save for the node port that was asked for.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from proxy.demo.free_ports import free_port, moved_pod_ports
from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml
from proxy.model.decoding import DecodingError, Object, decode, objects
from proxy.model.pod import Pod

_NODE_PORT = re.compile(r"(?<=nodePort: )\d+")
_CONTAINER_PORT = re.compile(r"(?<=containerPort: )\d+")
_USUAL_NODE_PORT = 30080
_PODS = "pods.yaml"


class DemoManifestError(Exception):
    """The demo's copy cannot be made or read; the text is one line that names the file."""


def packaged_manifests() -> Path:
    """The directory that came with the program: inside an installed package, or config/demo in a checkout."""
    here = Path(__file__).parent
    packaged = here / "manifests"
    return packaged if packaged.is_dir() else here.parents[1] / "config" / "demo"


def copy_manifests(directory: Path, node_port: int | None = None, *, empty: bool = False) -> None:
    """Fill `directory` with the demo's manifests unless it is there already; raises DemoManifestError.

    With `node_port`, myapp's node port in the copy becomes that one. A new copy takes ports that are free, and if
    `empty`, it has pods and no Service.
    """
    try:
        if not directory.exists():
            _make_copy(directory, empty)
            node_port = node_port or free_port(_USUAL_NODE_PORT, [("TCP", "0.0.0.0")])
        myapp = directory / "myapp.yaml"
        if node_port is not None and myapp.exists():
            myapp.write_text(_NODE_PORT.sub(str(node_port), myapp.read_text()))
    except OSError as error:
        raise DemoManifestError(f"{error.filename or directory}: {error.strerror or error}") from error


def _make_copy(directory: Path, empty: bool) -> None:
    shutil.copytree(packaged_manifests(), directory, copy_function=shutil.copyfile)
    pods = directory / _PODS
    for other in directory.glob("*.yaml"):
        if empty and other != pods:
            other.unlink()
    moved = moved_pod_ports(each for each in read_manifests(directory) if isinstance(each, Pod))
    if moved:
        text = _CONTAINER_PORT.sub(lambda match: str(moved.get(int(match[0]), match[0])), pods.read_text())
        pods.write_text(text)


def read_manifests(directory: Path) -> tuple[Object, ...]:
    """Every object in the YAML files of `directory`, by file and document, without defaults.

    Raises DemoManifestError.
    """
    return tuple(decoded for file in sorted(directory.glob("*.yaml")) for decoded in _objects_in(file))


def _objects_in(file: Path) -> Iterator[Object]:
    try:
        for document in load_yaml(file.read_text()):
            for single in objects(document):
                decoded = decode(single)
                if decoded is not None:
                    yield decoded
    except (OSError, UnicodeDecodeError, DocumentSyntaxError, DecodingError) as error:
        reason = " ".join(str(error).split())
        raise DemoManifestError(f"{file}: {reason}") from error
