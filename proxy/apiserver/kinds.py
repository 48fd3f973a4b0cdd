"""The kinds that the embedded API serves, and how clients find them.

Invariant: one entry a kind; routing, discovery, tables and OpenAPI are made from these entries
and from nothing else, so they cannot disagree.
"""

import msgspec

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_VERBS = ("get", "list", "watch")
STATUS_VERBS = ("get", "patch", "update")


class Kind(msgspec.Struct, frozen=True):
    """One resource of the API. `group` is empty for core; `has_status` means that `/status` is served; `deprecation` is
    the warning to whoever uses it."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = VERBS
    has_status: bool = False
    deprecation: str = ""

    @property
    def api_version(self) -> str:
        """`v1`, `discovery.k8s.io/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """`services`, `endpointslices.discovery.k8s.io`: how error messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def root(self) -> str:
        """The URL path of the group and version: `/api/v1`, `/apis/discovery.k8s.io/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def list_kind(self) -> str:
        """`ServiceList`."""
        return f"{self.kind}List"


def _review(group: str, kind: str) -> Kind:
    return Kind(group, "v1", kind, f"{kind.lower()}s", kind.lower(), namespaced=False, verbs=("create",))


SERVICES = Kind("", "v1", "Service", "services", "service", ("svc",), categories=("all",), has_status=True)
ENDPOINTS = Kind(
    "",
    "v1",
    "Endpoints",
    "endpoints",
    "endpoints",
    ("ep",),
    deprecation="v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
)
PODS = Kind("", "v1", "Pod", "pods", "pod", ("po",), categories=("all",), has_status=True)
NODES = Kind("", "v1", "Node", "nodes", "node", ("no",), namespaced=False, has_status=True)
NAMESPACES = Kind(
    "",
    "v1",
    "Namespace",
    "namespaces",
    "namespace",
    ("ns",),
    namespaced=False,
    # As in Kubernetes, namespaces are deleted one at a time.
    verbs=tuple(verb for verb in VERBS if verb != "deletecollection"),
    has_status=True,
)
EVENTS = Kind("", "v1", "Event", "events", "event", ("ev",))
ENDPOINT_SLICES = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice")

SERVICE_CIDRS = Kind(
    "networking.k8s.io", "v1", "ServiceCIDR", "servicecidrs", "servicecidr", namespaced=False, verbs=READ_VERBS
)
IP_ADDRESSES = Kind(
    "networking.k8s.io", "v1", "IPAddress", "ipaddresses", "ipaddress", ("ip",), namespaced=False, verbs=READ_VERBS
)
CUSTOM_RESOURCE_DEFINITIONS = Kind(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
    "customresourcedefinition",
    ("crd", "crds"),
    namespaced=False,
    categories=("api-extensions",),
    verbs=READ_VERBS,
)

KINDS: tuple[Kind, ...] = (
    ENDPOINTS,
    EVENTS,
    NAMESPACES,
    NODES,
    PODS,
    SERVICES,
    ENDPOINT_SLICES,
    SERVICE_CIDRS,
    IP_ADDRESSES,
    CUSTOM_RESOURCE_DEFINITIONS,
)
"""The kinds that are stored."""

NEW_EVENTS = Kind("events.k8s.io", "v1", "Event", "events", "event", ("ev",))
"""Events under other field names: what is stored are EVENTS."""

ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS = REVIEWS = (
    _review("authorization.k8s.io", "SelfSubjectAccessReview"),
    _review("authorization.k8s.io", "SelfSubjectRulesReview"),
    _review("authentication.k8s.io", "SelfSubjectReview"),
)
"""Questions of a client about itself, which are answered and not stored."""

SERVED: tuple[Kind, ...] = (*KINDS, NEW_EVENTS, *REVIEWS)
"""Everything that clients find."""


def kind_of_resource(group: str, version: str, plural: str) -> Kind | None:
    """The kind that a URL names, or None."""
    return next((kind for kind in SERVED if (kind.group, kind.version, kind.plural) == (group, version, plural)), None)


def kind_named(name: str) -> Kind | None:
    """The kind called `name` in manifests, such as `EndpointSlice`, or None."""
    return next((kind for kind in KINDS if kind.kind == name), None)
