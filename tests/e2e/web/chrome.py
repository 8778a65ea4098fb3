"""A headless Chromium, steered over its DevTools pipe: no driver, no port, no network."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

PATIENCE_SECONDS: Final = 30.0
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # the tests run as root, and look only at pages of their own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


# Chromium wants the two ends at 3 and 4. One is put aside first, for it may be in the other's way.
_PIPED: Final = """import os, sys
os.dup2(int(sys.argv[2]), 99)
os.dup2(int(sys.argv[1]), 3)
os.dup2(99, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium() -> str | None:
    """The browser of this machine, if there is one."""
    return shutil.which("chromium") or shutil.which("google-chrome")


class Chrome:
    """One browser with one tab."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_out, theirs_in = os.pipe()  # they read commands from descriptor 3
        theirs_out, ours_in = os.pipe()  # they write answers to descriptor 4
        words = (program, *_FLAGS, f"--user-data-dir={profile}", "about:blank")
        self._process = subprocess.Popen(
            (sys.executable, "-c", _PIPED, str(ours_out), str(ours_in), *words),
            pass_fds=(ours_out, ours_in),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(ours_out)
        os.close(ours_in)
        self._to, self._from = theirs_in, theirs_out
        self._number, self._rest = 0, b""
        self.events: list[dict[str, Any]] = []
        target = self._ask("Target.createTarget", {"url": "about:blank"}, "")["targetId"]
        attached = self._ask("Target.attachToTarget", {"targetId": target, "flatten": True}, "")
        self._session = attached["sessionId"]
        for domain in ("Page", "Log", "Runtime"):
            self.ask(f"{domain}.enable")

    def go(self, url: str) -> None:
        """Open a page and wait until all of it is there."""
        self.events.clear()
        self.ask("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE_SECONDS
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._take(end)

    def resize(self, width: int, height: int = 900) -> None:
        """Be a screen of this width."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """Be a person who prefers `dark` or `light`."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.ask("Emulation.setEmulatedMedia", features=[feature])

    def value(self, script: str) -> Any:
        """Ask the page for a value."""
        found = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        return found["result"].get("value")

    def screenshot(self) -> bytes:
        """A picture of the whole page, as PNG."""
        taken = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    @property
    def complaints(self) -> list[str]:
        """What the browser complained of since the page was opened: scripts, policy, files."""
        return [
            json.dumps(event["params"])
            for event in self.events
            if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
        ]

    def close(self) -> None:
        """End the browser."""
        os.close(self._to)
        os.close(self._from)
        self._process.terminate()
        self._process.wait(timeout=PATIENCE_SECONDS)

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a command to the tab and wait for its answer."""
        return self._ask(method, parameters, self._session)

    def _ask(self, method: str, parameters: object, session: str) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        words = {**message, "sessionId": session} if session else message
        os.write(self._to, json.dumps(words).encode() + b"\0")
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._take(end)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def _take(self, end: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            assert ready, "the browser does not answer"
            more = os.read(self._from, 65536)
            assert more, "the browser is gone"
            self._rest += more
        first, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        if "method" in message:
            self.events.append(message)
        return message
