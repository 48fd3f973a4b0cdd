"""Validation of metadata: the names, labels and annotations of any object.

Invariant: the API server's order and words (ValidateObjectMeta of k8s.io/apimachinery/pkg/api/validation), for the
fields of ObjectMeta that are kept.
"""

from collections.abc import Callable, Iterator, Mapping

from proxy.model.field_errors import invalid, required
from proxy.model.metadata import ObjectMeta
from proxy.model.names import dns_label_messages, label_value_messages, qualified_name_messages
from proxy.model.problem import FieldError


def metadata_errors(metadata: ObjectMeta, name_messages: Callable[[str], list[str]]) -> Iterator[FieldError]:
    """Errors of a namespaced object's metadata; `name_messages` is the kind's own rule for names."""
    if not metadata.name:
        yield required("metadata.name", "name or generateName is required")
    else:
        for message in name_messages(metadata.name):
            yield invalid("metadata.name", metadata.name, message)
    if not metadata.namespace:
        yield required("metadata.namespace")
    else:
        for message in dns_label_messages(metadata.namespace):
            yield invalid("metadata.namespace", metadata.namespace, message)
    yield from label_errors("metadata.labels", metadata.labels)
    for key in metadata.annotations:
        # The API compares annotation keys without regard to case, but shows them as written.
        for message in qualified_name_messages(key.lower()):
            yield invalid("metadata.annotations", key, message)


def label_errors(field: str, labels: Mapping[str, str]) -> Iterator[FieldError]:
    """Errors of a map of labels, or of a selector made of them."""
    for key, value in labels.items():
        for message in qualified_name_messages(key):
            yield invalid(field, key, message)
        for message in label_value_messages(value):
            yield invalid(field, value, message)
