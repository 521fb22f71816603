"""A real browser for the tests: chromedriver over the W3C WebDriver protocol, by the standard library alone."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """One headless Chromium window."""

    def __init__(self, width: int = 1000, height: int = 1200) -> None:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        driver = shutil.which("chromedriver")
        if not (chromium and driver):
            assert not os.environ.get("CI"), "in CI the browser tests run: .ci/run installs chromium and chromedriver"
            (pytest.fail if os.environ.get("CI") else pytest.skip)("needs chromium and chromedriver")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.base = f"http://127.0.0.1:{port}"
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options = {"binary": chromium, "args": [*arguments, f"--window-size={width},{height}"]}
        for _ in range(100):
            try:
                opened = self._call(
                    "POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
                )
                break
            except urllib.error.URLError:
                time.sleep(0.1)
        self.base += f"/session/{opened['sessionId']}"

    def _call(self, verb: str, path: str, body: dict | None = None) -> Any:
        data = json.dumps(body or {}).encode() if verb == "POST" else None
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=verb)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def close(self) -> None:
        self._call("DELETE", "")
        self.process.terminate()
        self.process.wait()

    def open(self, address: str) -> None:
        self._call("POST", "/url", {"url": address})

    def js(self, script: str) -> Any:
        """Run a script's body and get what it returns."""
        return self._call("POST", "/execute/sync", {"script": script, "args": []})

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of Chromium's own protocol."""
        return self._call("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def wait(self, condition: str, seconds: float = 5) -> None:
        for _ in range(round(20 * seconds)):
            if self.js(f"return Boolean({condition})"):
                return
            time.sleep(0.05)
        raise AssertionError(f"never came true in the page: {condition}")

    def keys(self, selector: str, text: str) -> None:
        """Press keys on an element."""
        found = self._call("POST", "/element", {"using": "css selector", "value": selector})
        self._call("POST", f"/element/{found[_ELEMENT]}/value", {"text": text})

    def click(self, selector: str, across: float) -> None:
        """Click an element with the mouse, at a share of its width."""
        self.js(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        box = self.js(f"return document.querySelector({json.dumps(selector)}).getBoundingClientRect()")
        x, y = round(box["x"] + across * box["width"]), round(box["y"] + box["height"] / 2)
        move = {"type": "pointerMove", "duration": 0, "x": x, "y": y}
        steps = [move, {"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._call("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})
