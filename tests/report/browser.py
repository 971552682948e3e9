"""A headless Chromium that tells what a page does."""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

READY = 60.0  # seconds that a page may take to draw its charts on a busy machine


class Browser:
    """One page after the other, as a reader meets it.

    Args:
        driver: Of selenium.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Path, width: int = 1280, height: int = 900, **features: str) -> None:
        """Open a page; features are those of media queries, as ``prefers_color_scheme="dark"``."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        asked = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.command("Emulation.setEmulatedMedia", media="", features=asked)
        for kind in ("browser", "performance"):
            self.driver.get_log(kind)  # what came before
        self.driver.get(page.as_uri())
        end = time.monotonic() + READY
        while not self.run("return document.documentElement.dataset.ready || ''") and time.monotonic() < end:
            time.sleep(0.05)

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def command(self, name: str, **values: Any) -> Any:
        """Give a command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, values)

    def press(self, key: str) -> None:
        """Press a key where the focus is."""
        self.driver.switch_to.active_element.send_keys(key)

    def messages(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Addresses that were asked for, beside the page's and those within it."""
        asked = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                asked.append(message["params"]["request"]["url"])
        return [address for address in asked if not address.startswith(("data:", "file:"))]

    def accessibility(self) -> list[str]:
        """What axe-core finds fault with, a line each."""
        from axe_core_python.selenium import Axe

        found = Axe().run(self.driver)
        assert len(found["passes"]) > 10
        return [f"{it['id']}: {it['help']}: {it['nodes'][0]['html'][:200]}" for it in found["violations"]]

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.command("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    binary = next((path for name in names if (path := shutil.which(name))), None)
    server = shutil.which("chromedriver")
    if binary is None or server is None:
        pytest.skip("no chromium and chromedriver here; Debian: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    switches = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run"]
    for switch in [*switches, *(["--no-sandbox"] if os.geteuid() == 0 else [])]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(server))
    driver.set_script_timeout(READY)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
