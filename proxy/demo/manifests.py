"""The demo's manifests: where they are kept, a copy that the user may edit, and what is in it.

Imports `documents` and `model`. Invariant: an existing copy is never written over, save for the node port that was
asked for.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml
from proxy.model.decoding import DecodingError, Object, decode, objects

_NODE_PORT = re.compile(r"(?<=nodePort: )\d+")


class DemoManifestError(Exception):
    """The demo's copy cannot be made or read; the text is one line that names the file."""


def packaged_manifests() -> Path:
    """The directory that came with the program: inside an installed package, or config/demo in a checkout."""
    here = Path(__file__).parent
    packaged = here / "manifests"
    return packaged if packaged.is_dir() else here.parents[1] / "config" / "demo"


def copy_manifests(directory: Path, node_port: int | None = None) -> None:
    """Fill `directory` with the demo's manifests unless it is there already; raises DemoManifestError.

    With `node_port`, myapp's node port in the copy becomes that one.
    """
    try:
        if not directory.exists():
            shutil.copytree(packaged_manifests(), directory, copy_function=shutil.copyfile)
        if node_port is not None:
            myapp = directory / "myapp.yaml"
            myapp.write_text(_NODE_PORT.sub(str(node_port), myapp.read_text()))
    except OSError as error:
        raise DemoManifestError(f"{error.filename or directory}: {error.strerror or error}") from error


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
