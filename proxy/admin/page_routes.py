"""The page: files that a browser makes a picture of the proxy from.

The files are beside this module, in `page/`. Invariants: they are the same for everybody and hold no data; only what is
in `page/` is served beside the close reasons, read once.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.admin.close_reasons_page import PATH, close_reasons_page

_DIRECTORY = Path(__file__).parent / "page"
_TYPES: Mapping[str, str] = MappingProxyType(
    {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
)


def page_routes() -> Iterable[web.RouteDef]:
    """The page at /, what it loads below /page/, and the list of close reasons that it leads to."""
    files = [file for file in sorted(_DIRECTORY.iterdir()) if file.suffix in _TYPES]
    return [
        web.get(PATH, _answering(close_reasons_page().encode(), "text/html")),
        *(web.get(_path_of(file), _answering(file.read_bytes(), _TYPES[file.suffix])) for file in files),
    ]


def _path_of(file: Path) -> str:
    return "/" if file.name == "index.html" else f"/page/{file.name}"


def _answering(body: bytes, kind: str) -> Handler:

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type=kind, charset="utf-8")

    return answer
