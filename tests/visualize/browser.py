"""A headless Chromium, driven as a reader would use it."""

import json
import shutil
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHECKS = Path(__file__).with_name("checks.js")
DESKTOP, PHONE = (1280, 900), (390, 844)


def start(folder):
    """A browser with a profile of its own, or a skip that says what is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser = next((path for name in NAMES if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("needs chromium and chromedriver (apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    return webdriver.Chrome(options=options, service=service)


def dress(driver, size=DESKTOP, theme="light"):
    """Sets the size of the window, and the colours that the reader prefers."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", metrics | {"mobile": width < 500}
    )
    feature = {"name": "prefers-color-scheme", "value": theme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def texts(driver, selector):
    """The texts of all elements that a selector finds."""
    script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
    return driver.execute_script(script, selector)


def click(driver, selector):
    """Clicks the first element that a selector finds, scrolled to the middle."""
    found = driver.find_element("css selector", selector)
    script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
    driver.execute_script(script, found)
    found.click()
    return found


def complaints(driver):
    """What the browser wrote to its console: errors of scripts, refused requests."""
    return [json.dumps(entry) for entry in driver.get_log("browser")]


def faults(driver):
    """What `checks.js` finds: text that cannot be read, controls without names, ids twice."""
    return driver.execute_script(CHECKS.read_text(encoding="utf-8"))


@contextmanager
def served(app):
    """The address of an application that answers until the end."""
    import threading

    import uvicorn

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()
