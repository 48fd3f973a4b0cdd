"""The page's files: served, whole, and within what a strict browser allows."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from xml.etree import ElementTree

import aiohttp
import pytest
from yarl import URL

import proxy.admin
from proxy.admin.close_reasons_page import PATH, close_reasons_page
from proxy.admin.http_server import HTTPServer
from proxy.dataplane.close_reason import CloseReason
from tests.admin.inspected import FakeProxy

DIRECTORY = Path(proxy.admin.__file__).parent / "page"
FILES = sorted(file.name for file in DIRECTORY.iterdir() if file.suffix in (".css", ".html", ".js", ".svg"))
TEXTS = {name: (DIRECTORY / name).read_text() for name in FILES}


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = HTTPServer(FakeProxy())
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    yield f"http://127.0.0.1:{server._runners[1].addresses[0][1]}"
    await server.stop()


async def test_every_file_is_served_as_what_it_is(url: str) -> None:
    types = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
    async with aiohttp.ClientSession() as session:
        for name in FILES:
            path = "/" if name == "index.html" else f"/page/{name}"
            async with session.get(url + path) as response:
                assert (response.status, response.content_type) == (200, types[Path(name).suffix])
                assert await response.text() == TEXTS[name]


async def test_every_close_reason_is_listed_with_its_advice_at_a_place_of_its_own(url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url + PATH) as response:
        assert (response.status, response.content_type) == (200, "text/html")
        table = re.search(r"<table>.*</table>", await response.text(), re.DOTALL)
    assert table is not None
    document = ElementTree.fromstring(table[0])
    rows = {row.get("id"): ["".join(cell.itertext()) for cell in row] for row in document.iter("tr") if row.get("id")}
    assert rows == {reason.value: [reason.value, reason.advice] for reason in CloseReason}
    assert 'href="close-reasons"' in TEXTS["index.html"]


def test_the_list_of_close_reasons_needs_no_more_than_the_page_does() -> None:
    text = close_reasons_page()
    assert set(re.findall(r'(?:href|src)="([^"]+)"', text)) <= {"./", *(f"page/{name}" for name in FILES)}
    assert not re.search(r"https?://|<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)", text)


@pytest.mark.parametrize("path", ["/page/", "/page/index.html", "/page/../api_routes.py", "/page/%2e%2e/guard.py"])
async def test_nothing_else_is(url: str, path: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(url + path, encoded=True)) as response,
    ):
        assert response.status == 404


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_names_is_there(name: str) -> None:
    named = set(re.findall(r'(?:href|src)="(?!#)(?:page/)?([^"]+)"', TEXTS[name]))
    named |= {each.removeprefix("./") for each in re.findall(r'from "([^"]+)"', TEXTS[name])}
    assert named <= {*FILES, "close-reasons"}


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere_and_nothing_is_inline(name: str) -> None:
    text = TEXTS[name].replace("http://www.w3.org/2000/svg", "").replace("`curl http://${", "")
    assert not re.search(r"https?://|@import|url\(", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|<script(?![^>]*src=)", text)


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".js")])
def test_no_text_becomes_markup(name: str) -> None:
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", TEXTS[name])
