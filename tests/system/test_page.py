"""The page in a real browser: what it shows, how it follows, how it is used without a mouse and on a phone."""

import contextlib
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lane import this_lane
from tests.system.conftest import OpenFiles
from tests.system.harness.browser import Browser
from tests.system.harness.eventually import eventually
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.myapp import MyApp
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, Svcproxy

pytestmark = [pytest.mark.requires("chromium", "chromedriver"), pytest.mark.timeout(180)]

MANY = 1000


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests of the page: each has a tab of its own, and the page an address of its own."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("not installed: chromium, chromedriver")
    opened = Browser(tmp_path_factory.mktemp("chromium") / "profile", chromium, driver)
    yield opened
    opened.close()


@pytest.fixture
def browser(chromium: Browser) -> Browser:
    chromium.fresh_tab()
    return chromium


def url(proxy: Svcproxy, user: str = "") -> str:
    return f"http://{user}{proxy.status_address}:{METRICS_PORT}/"


@pytest.fixture
def shown(svcproxy: StartSvcproxy, myapp: MyApp, browser: Browser) -> Svcproxy:
    """A proxy with the Service myapp and two others, shown by the browser."""
    others = (service("cache", port(6379), selector={"app": "none"}), service("zoo", port(7007), selector={"app": "z"}))
    proxy = svcproxy((myapp.service, *myapp.pods, *others))
    browser.open(url(proxy))
    eventually(lambda: browser.text("#tile-services") == "3", "three Services")
    return proxy


def test_it_shows_the_services_and_five_pods(shown: Svcproxy, browser: Browser, myapp: MyApp) -> None:
    assert browser.services() == ["default/cache", "default/myapp", "default/zoo"]
    # The one that is easiest to reach is open already.
    assert browser.selected() == "default/myapp"
    assert set(browser.spread()) == myapp.names
    assert f"http://{shown.status_address}:{myapp.node_port}/" in browser.text(".attempt code")
    assert browser.attribute('.row[data-service="default/cache"]', "data-level") == "empty"
    browser.select("default/cache")
    assert "clients are refused" in browser.text("#detail")
    assert browser.texts("#workers .tag")[0] == "running"
    assert any("service added" in each for each in browser.texts("#changes li"))
    assert browser.complaints() == []


@pytest.mark.requires("curl")
def test_the_bars_follow_a_curl_loop(shown: Svcproxy, browser: Browser, myapp: MyApp) -> None:
    assert browser.bars() == [0] * 5
    answered = myapp.loop()
    eventually(lambda: {pod: total for pod, (_, total) in browser.spread().items()} == answered, "the loop's totals")
    # Each has about a fifth: what came earlier counts for less by now.
    assert all(10 <= int(share.removesuffix(" %")) <= 30 for share, _ in browser.spread().values())
    assert all(bar > 0 for bar in browser.bars())
    eventually(lambda: browser.text("#detail-bytes") != "0 B", "bytes a second")
    eventually(lambda: browser.text("#tile-rate") != "0", "connections a second")
    browser.shoot("spread")
    assert browser.complaints() == []


@pytest.mark.requires("curl", "kubectl")
def test_a_patched_affinity_shows_with_the_clients_it_holds_for(
    standalone: Svcproxy, kubectl: Kubectl, browser: Browser, myapp: MyApp
) -> None:
    kubectl.apply(myapp.service, *myapp.pods)
    myapp.wait_until_led_to(standalone, myapp.names)
    browser.open(url(standalone))
    browser.select("default/myapp")
    assert "no affinity" in browser.texts("#detail .chip")
    kubectl.patch("svc", "myapp", {"spec": {"sessionAffinity": "ClientIP"}})
    eventually(lambda: "ClientIP affinity, 3h" in browser.texts("#detail .chip"), "the affinity")
    assert any("affinity changed" in each for each in browser.texts("#changes li"))
    (pod,) = myapp.loop()
    eventually(lambda: browser.spread()[pod][0] == "100 %", "one pod with all of it")
    assert sum(bar > 0 for bar in browser.bars()) == 1
    eventually(lambda: pod in browser.text("#detail .affinity"), "the client's entry")
    eventually(lambda: browser.text("#tile-affinity") == "1", "one entry")
    browser.shoot("affinity")
    assert browser.complaints() == []


def test_what_comes_goes_and_fails_shows(shown: Svcproxy, browser: Browser, places: Places) -> None:
    shown.manifests.put(service("late", port(80), clusterIP=places.cluster_ip()))
    eventually(lambda: "default/late" in browser.services(), "the new Service")
    shown.manifests.remove(service("late"))
    eventually(lambda: "default/late" not in browser.services(), "the Service to leave")
    # What is wrong is shown as it was written, and is never markup.
    wrong = '<img src=x onerror="document.title=1">'
    shown.manifests.put(service("wrong", port(80), sessionAffinity=wrong))
    eventually(lambda: wrong in browser.text("#problems").replace("\\", ""), "the problem in words")
    assert browser.count("#problems img") == 0
    assert browser.text("#problems-count") == "1"
    assert "svcproxy" in browser.run("return document.title")
    shown.manifests.remove(service("wrong"))
    eventually(lambda: not browser.has("#problems-card"), "the problem to go")
    assert browser.complaints() == []


def test_it_is_used_with_the_keyboard_alone(shown: Svcproxy, browser: Browser) -> None:
    browser.press("/")
    assert browser.focused() == "search"
    browser.press("my", "ENTER")
    eventually(lambda: browser.services() == ["default/myapp"], "what matches")
    assert (browser.focused(), browser.text("#shown")) == ("list", "1 of 3")
    browser.press("/")
    browser.press("ESCAPE")
    eventually(lambda: len(browser.services()) == 3, "all of them")
    browser.press("HOME")
    assert browser.selected() == "default/cache"
    browser.press("ARROW_DOWN", "ARROW_DOWN", "ARROW_DOWN")
    assert browser.selected() == "default/zoo"
    active = browser.attribute("#list", "aria-activedescendant")
    assert browser.attribute(f"#{active}", "data-service") == "default/zoo"
    browser.press("ENTER")
    assert (browser.focused(), browser.text("#detail-title").startswith("zoo")) == ("detail", True)
    browser.press("ESCAPE")
    assert browser.focused() == "list"
    assert browser.complaints() == []


@pytest.mark.parametrize("words", ["myapp-c", "nodeport", "default/myapp", "NODEPORT  myapp"])
def test_a_search_finds_pods_types_and_names(shown: Svcproxy, browser: Browser, words: str) -> None:
    browser.press("/")
    browser.press(words)
    eventually(lambda: browser.services() == ["default/myapp"], "what matches")
    browser.press("x" * 30)
    eventually(lambda: "Nothing matches" in browser.text("#empty"), "that nothing matches")
    assert browser.services() == []


def test_a_namespace_is_shown_alone(shown: Svcproxy, browser: Browser) -> None:
    elsewhere = service("shop", port(7007))
    shown.manifests.put(elsewhere | {"metadata": {"name": "shop", "namespace": "prod"}})
    eventually(lambda: browser.texts("#namespace option")[1:] == ["default", "prod"], "both namespaces")
    browser.choose("#namespace", "prod")
    eventually(lambda: browser.services() == ["prod/shop"], "the one Service of it")
    browser.choose("#namespace", "All namespaces")
    eventually(lambda: len(browser.services()) == 4, "all of them")
    browser.choose("#order", "Trouble first")
    eventually(lambda: browser.services()[-1] == "default/myapp", "the one that serves at the end")
    assert browser.complaints() == []


def test_it_is_light_or_dark_as_the_system_or_the_reader_wants(shown: Svcproxy, browser: Browser) -> None:
    def ground() -> str:
        return browser.style("body", "background-color")

    browser.prefer("light")
    light = ground()
    browser.prefer("dark")
    dark = ground()
    assert light != dark
    browser.click("#theme")
    assert (ground(), browser.attribute("#theme", "aria-label")) == (light, "Colours: light")
    browser.open(url(shown))
    assert ground() == light
    browser.prefer("light")
    browser.click("#theme")
    assert (ground(), browser.attribute("#theme", "aria-label")) == (dark, "Colours: dark")
    browser.click("#theme")
    assert ground() == light
    assert browser.complaints() == []


def test_it_is_read_on_a_phone(shown: Svcproxy, browser: Browser, myapp: MyApp) -> None:
    browser.resize(390, 844)
    browser.prefer("dark")
    browser.open(url(shown))
    eventually(lambda: len(browser.services()) == 3, "three Services")
    assert browser.run("return document.documentElement.scrollWidth") == 390
    assert not browser.has("#detail")
    browser.shoot("phone-list")
    browser.select("default/myapp")
    eventually(lambda: browser.has("#detail"), "the Service alone")
    assert browser.run("return document.querySelector('#detail').scrollWidth") <= 390
    assert set(browser.spread()) == myapp.names
    browser.shoot("phone-service")
    browser.run("history.back()")
    eventually(lambda: not browser.has("#detail"), "the list again")
    browser.click(".views [data-view=activity]")
    eventually(lambda: browser.has("#changes"), "what changed")
    assert not browser.has("#list")
    browser.shoot("phone-activity")
    assert browser.complaints() == []


@pytest.fixture
def many(svcproxy: StartSvcproxy, open_files: OpenFiles) -> Callable[[], Svcproxy]:
    """Starts a proxy with a thousand Services of three endpoints."""

    def manifests() -> Iterator[Manifest]:
        for number in range(MANY):
            name = f"s{number:04}"
            yield service(name, port(7007))
            yield endpoint_slice(
                name, [f"10.0.{number // 250}.{number % 250 + 1}", "10.1.0.1", "10.1.0.2"], {"port": 1}
            )

    def start() -> Svcproxy:
        open_files(4 * MANY)
        items = list(manifests())
        everything = {"apiVersion": "v1", "kind": "List", "metadata": {"name": "all"}, "items": items}
        # The range of a test is too small for so many; no other test has this one.
        wide = {"serviceClusterIPRange": [this_lane().wide_network()]}
        return svcproxy([everything], configuration=wide)

    return start


def test_a_thousand_services_are_as_easy_as_three(many: Callable[[], Svcproxy], browser: Browser) -> None:
    proxy = many()
    browser.open(url(proxy))
    eventually(lambda: browser.text("#shown") == "1,000", "a thousand Services")
    browser.click("#list")
    browser.press("END")
    eventually(lambda: browser.services()[-1:] == ["default/s0999"], "the last row")
    assert browser.selected() == "default/s0999"
    assert browser.count(".row") < 60
    assert browser.focused() == "list"
    browser.press("HOME")
    eventually(lambda: browser.services()[:1] == ["default/s0000"], "the first row")
    browser.shoot("thousand")
    browser.press("/")
    browser.press("s0555")
    eventually(lambda: browser.services() == ["default/s0555"], "the one that matches")
    browser.press("ENTER")
    assert len(browser.spread()) == 3
    proxy.manifests.put(endpoint_slice("s0555", ["10.2.0.1"], {"port": 1}, suffix="2"))
    eventually(lambda: len(browser.spread()) == 4, "the fourth endpoint")
    # It still answers: frames are drawn.
    assert browser.run("return new Promise((drawn) => requestAnimationFrame(() => drawn('drawn')))") == "drawn"
    assert browser.complaints() == []


def test_it_comes_back_by_itself_after_a_restart(svcproxy: StartSvcproxy, browser: Browser, places: Places) -> None:
    address = {"metricsBindAddress": f"{places.address()}:{METRICS_PORT}"}
    first = svcproxy([service("one", port(7007))], configuration=address)
    browser.open(f"http://{address['metricsBindAddress']}/")
    eventually(lambda: browser.services() == ["default/one"], "one Service")
    first.stop()
    eventually(lambda: browser.attribute("#status", "data-state") in ("lost", "refused"), "the loss")
    assert " · as of " in browser.text("#status")
    assert browser.count("body.stale") == 1
    browser.shoot("lost")
    first.manifests.put(service("two", port(7007)))
    svcproxy(first.manifests, configuration=address)
    browser.wait_for_status("live")
    assert browser.count("body.stale") == 0
    eventually(lambda: browser.services() == ["default/one", "default/two"], "two Services")


def test_failures_have_a_tile_and_a_column(svcproxy: StartSvcproxy, browser: Browser, places: Places) -> None:
    address, number = places.cluster_ip(), places.address()
    nobody = service("web", port(80, 8080), clusterIP=address)
    proxy = svcproxy((nobody, endpoint_slice("web", [number], {"port": 8080})))
    browser.open(url(proxy))
    eventually(lambda: browser.services() == ["default/web"], "the Service")

    def ask() -> bool:
        with contextlib.suppress(OSError), socket.create_connection((address, 80), timeout=10) as client:
            client.recv(1)
        return browser.text("#tile-failures") not in ("0", "–") and browser.text(".row .fail") != ""

    eventually(ask, "failures a second")
    assert browser.attribute("#tile-failures", "data-level") == "fault"
    browser.shoot("failures")


def test_names_are_in_natural_order(svcproxy: StartSvcproxy, browser: Browser) -> None:
    proxy = svcproxy([service(name, port(80)) for name in ("v10", "v2", "v1")])
    browser.open(url(proxy))
    eventually(lambda: browser.services() == ["default/v1", "default/v2", "default/v10"], "the order")


def test_without_a_service_the_next_step_is_said(svcproxy: StartSvcproxy, browser: Browser) -> None:
    browser.open(url(svcproxy([])))
    eventually(lambda: "--service web:8000=127.0.0.1:3000" in browser.text("#empty"), "the next step")
    browser.shoot("empty")


def test_with_a_token_the_browser_asks_for_a_password(
    svcproxy: StartSvcproxy, browser: Browser, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    proxy = svcproxy([service("one", port(7007))], configuration={"adminTokenFile": str(token)})
    assert proxy.get("/api/v1/services")[0] == 401
    browser.open(url(proxy, "anybody:s3cret@"))
    eventually(lambda: browser.services() == ["default/one"], "one Service")
    assert browser.complaints() == []
