"""Names of the EndpointSlices that are made here.

Invariant: a name is decided by what the slice is for, never by when it was made or what else exists, so that a restart
gives the same names; it is a valid DNS subdomain for every valid Service name.
"""

import hashlib

_DIGEST_BYTES = 5


def slice_name(service: str, *parts: object) -> str:
    """The Service's name and a digest of `service` and `parts`, like `myapp-3f09c2a1d4`."""
    identity = "\n".join((service, *(repr(part) for part in parts)))
    return f"{service}-{hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES).hexdigest()}"
