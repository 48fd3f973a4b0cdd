"""What is wrong with a Service, as text, and the texts that many of its rules share."""

import msgspec

from proxy.model.defaults import default_service
from proxy.model.service import Service
from proxy.model.service_validation import validate_service

PORT = {"port": 80}
NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
PORT_RANGE = "must be between 1 and 65535, inclusive"
LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
ONLY_LOAD_BALANCER = "Forbidden: may only be used when `type` is 'LoadBalancer'"


def errors_of(
    spec: dict[str, object], metadata: dict[str, object] | None = None, status: dict[str, object] | None = None
) -> list[str]:
    """What is wrong with the defaulted Service of `spec`, which gets one good port unless it says otherwise."""
    document = {
        "metadata": {"name": "web", "namespace": "default", **(metadata or {})},
        "spec": {"ports": [PORT], **spec},
        "status": status or {},
    }
    return [str(error) for error in validate_service(default_service(msgspec.convert(document, Service)))]
