"""A headless Chromium, driven as a reader would, and what it shows of svcproxy's page.

Invariant: it has a profile of its own and talks to nobody but the page; `close` ends it and all that it started.
Nothing of one `fresh_tab` is left in the next but what the page keeps for its own address.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.select import Select

from tests.lane import free_port
from tests.system.harness.eventually import eventually

SCREENSHOTS = Path(__file__).parents[3] / "build" / "screenshots"
"""Kept after the tests, for people; git ignores it."""

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_ROW = "#rows .row:not([hidden])"


class Browser:
    """A window of 1440 by 900. `text` and `texts` give what a selector's elements say."""

    def __init__(self, profile: Path, chromium: str, driver: str) -> None:
        options = Options()
        options.binary_location = chromium
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # A port of the lane's: it is taken in both families, and Selenium asks the kernel for one that is free in one.
        self._driver = webdriver.Chrome(options=options, service=Service(driver, port=free_port()))

    def close(self) -> None:
        self._driver.quit()

    def fresh_tab(self) -> None:
        """Leave the page for an empty one, as wide and as light as a new window; nothing is said in the console yet."""
        before = self._driver.current_window_handle
        self._driver.switch_to.new_window("tab")
        after = self._driver.current_window_handle
        self._driver.switch_to.window(before)
        self._driver.close()
        self._driver.switch_to.window(after)
        self.resize(1440, 900)
        self.complaints()

    def open(self, url: str) -> None:
        """Load the page and wait until it is live."""
        self._driver.get(url)
        self.wait_for_status("live")

    def wait_for_status(self, name: str) -> None:
        eventually(lambda: self.attribute("#status", "data-state") == name, f"the status {name}")

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, scheme: str) -> None:
        """What the system prefers: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def element(self, selector: str) -> WebElement:
        return self._driver.find_element(By.CSS_SELECTOR, selector)

    def has(self, selector: str) -> bool:
        """Whether an element is there and shown."""
        return any(each.is_displayed() for each in self._driver.find_elements(By.CSS_SELECTOR, selector))

    def count(self, selector: str) -> int:
        return int(self.run("return document.querySelectorAll(arguments[0]).length", selector))

    def text(self, selector: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", selector))

    def texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent)"
        found: list[str] = self.run(script, selector)
        return found

    def attribute(self, selector: str, name: str) -> str:
        return self.element(selector).get_attribute(name) or ""

    def style(self, selector: str, name: str) -> str:
        return self.element(selector).value_of_css_property(name)

    def run(self, script: str, *arguments: object) -> Any:
        return self._driver.execute_script(script, *arguments)

    def click(self, selector: str) -> None:
        self.element(selector).click()

    def choose(self, selector: str, option: str) -> None:
        """An entry of a list, by what it says."""
        Select(self.element(selector)).select_by_visible_text(option)

    def press(self, *keys: str) -> None:
        """Keys for whatever has the focus; those of selenium's Keys by name."""
        focused = self._driver.switch_to.active_element
        focused.send_keys(*(getattr(Keys, key, key) for key in keys))

    def focused(self) -> str:
        """The id of the element that has the focus."""
        return str(self.run("return document.activeElement.id"))

    def services(self) -> list[str]:
        """The names in the rows in sight, from the top."""
        script = (
            "return [...document.querySelectorAll(arguments[0])]"
            ".sort((a, b) => a.ariaPosInSet - b.ariaPosInSet).map((row) => row.dataset.service)"
        )
        found: list[str] = self.run(script, _ROW)
        return found

    def selected(self) -> str:
        """The Service whose row is chosen, where it is in sight."""
        script = "return document.querySelector('.row[aria-selected=true]')?.dataset.service ?? ''"
        return str(self.run(script))

    def select(self, service: str) -> None:
        """Choose a Service that is in sight, and wait until it is shown."""
        self.click(f'.row[data-service="{service}"]')
        name = service.partition("/")[2]
        eventually(lambda: self.text("#detail-title").startswith(name), f"the detail of {service}")

    def spread(self) -> Mapping[str, tuple[str, int]]:
        """By pod of the chosen Service: its share of late, and how many connections it had in all."""
        script = (
            "return [...document.querySelectorAll('#detail .pool:not(.affinity) tbody tr')].map((row) => "
            "[row.querySelector('.pod').textContent, row.cells[2].textContent, row.cells[4].textContent])"
        )
        rows: list[tuple[str, str, str]] = self.run(script)
        return {pod: (share, int(total.replace(",", ""))) for pod, share, total in rows}

    def bars(self) -> list[float]:
        """How far the bars of the chosen Service are to go, 0 to 1."""
        script = (
            "return [...document.querySelectorAll('#detail .fill')]"
            ".map((each) => Number(each.style.transform.match(/[\\d.]+/)?.[0] ?? 0))"
        )
        found: list[float] = self.run(script)
        return found

    def complaints(self) -> list[str]:
        """What the console says since the last call."""
        return [entry["message"] for entry in self._driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def shoot(self, name: str) -> None:
        """Keep a picture."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self._driver.save_screenshot(str(SCREENSHOTS / f"{name}.png"))
