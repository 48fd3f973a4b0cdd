"""/metrics of the API: requests and objects, under kube-apiserver's names.

Invariant: a label has one of few values: what is no kind that is served is counted without a resource.
"""

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.http.target import Target
from proxy.apiserver.kinds import KINDS
from proxy.apiserver.storage.store import Store

_LABELS = ("verb", "group", "version", "resource", "subresource", "scope", "code")
_ON_COLLECTION = {"GET": "LIST", "DELETE": "DELETECOLLECTION"}
_VERBS = ("GET", "LIST", "WATCH", "POST", "PUT", "PATCH", "DELETE", "DELETECOLLECTION")


class APIMetrics:
    """Counts the requests of one API."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._registry = CollectorRegistry()
        self._requests = Counter("apiserver_request", "Requests to the API.", _LABELS, registry=self._registry)
        self._objects = Gauge("apiserver_storage_objects", "Objects stored.", ("resource",), registry=self._registry)

    def count(self, request: web.Request, target: Target | None, code: int) -> None:
        """Take an answer into account."""
        if target is None:
            self._requests.labels(_verb(request, None), "", "", "", "", "", code).inc()
            return
        kind = target.shown
        scope = "resource" if target.name else "namespace" if target.namespace else "cluster"
        verb = _verb(request, target)
        self._requests.labels(verb, kind.group, kind.version, kind.plural, target.subresource, scope, code).inc()

    def answer(self) -> web.Response:
        """The exposition."""
        for kind in KINDS:
            self._objects.labels(kind.resource).set(len(self._store.objects(kind)))
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def _verb(request: web.Request, target: Target | None) -> str:
    verb = request.method
    if target is not None and verb == "GET" and (target.watch or query_flag(request.query, "watch")):
        verb = "WATCH"
    elif target is not None and not target.name:
        verb = _ON_COLLECTION.get(verb, verb)
    return verb if verb in _VERBS else "other"
