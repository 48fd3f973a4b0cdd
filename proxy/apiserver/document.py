"""Documents: objects as JSON has them, and the few parts of them that every kind has.

Invariant: a document that is in the store is never changed; whoever wants another one copies it.
"""

from typing import Any

import msgspec

from proxy.apiserver.kinds import Kind

Document = dict[str, Any]

Key = tuple[str, str]
"""(namespace, name); the namespace of a cluster-wide object is empty."""


class Version(msgspec.Struct, frozen=True):
    """One version of an object as JSON in bytes, which take a tenth of the memory of its document.

    `made` means that the endpoint controller keeps the object, not a client.
    """

    kind: Kind
    key: Key
    encoded: bytes
    version: int
    made: bool = False

    @property
    def document(self) -> Document:
        """The object, decoded anew at each call."""
        return msgspec.json.decode(self.encoded, type=Document)

    @property
    def head(self) -> Document:
        """The object with its kind and metadata alone; the rest is not decoded."""
        head: Document = msgspec.to_builtins(msgspec.json.decode(self.encoded, type=_Head))
        return head


class _Head(msgspec.Struct, rename="camel", omit_defaults=True):
    kind: str = ""
    api_version: str = ""
    metadata: Document = {}


class Stored(msgspec.Struct, frozen=True):
    """The newest version of an object, ready to be looked at."""

    kind: Kind
    document: Document
    encoded: bytes
    version: int
    made: bool = False

    @property
    def key(self) -> Key:
        return key_of(self.document)

    @property
    def as_version(self) -> Version:
        """What stays when there is a newer one."""
        return Version(self.kind, self.key, self.encoded, self.version, self.made)


def document_of(struct: msgspec.Struct) -> Document:
    """A struct of the model as JSON has it."""
    return msgspec.json.decode(msgspec.json.encode(struct), type=Document)


def metadata_of(document: Document) -> Document:
    """The metadata, empty where there is none or it is no map."""
    metadata = document.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def key_of(document: Document) -> Key:
    """(namespace, name)."""
    metadata = metadata_of(document)
    return metadata.get("namespace", ""), metadata.get("name", "")


def labels_of(document: Document) -> dict[str, str]:
    """The labels, empty where there are none."""
    return metadata_of(document).get("labels") or {}


def with_metadata(document: Document, **members: object) -> Document:
    """A copy of `document` in which these members of metadata are set, or left out where they are None."""
    metadata = {**metadata_of(document), **members}
    return {**document, "metadata": {name: member for name, member in metadata.items() if member is not None}}
