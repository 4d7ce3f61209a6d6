"""Drives a notebook in a real JupyterLab or Notebook 7 page, and its kernel beside it (test process)."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from typing import Any, Self

from playwright.sync_api import BrowserContext, Locator, Page

from tests.browser import lobby
from tests.browser.lobby import PAGE_LIMIT
from tests.remote_kernel import RemoteKernel
from tests.support import JupyterProcess, deleted, wait_for


@dataclass
class NotebookPage:
    """One notebook, open in one tab."""

    server: JupyterProcess
    page: Page
    path: str
    errors: list[str]

    @classmethod
    def open(cls, server: JupyterProcess, context: BrowserContext, cells: list[str]) -> Self:
        """Write the notebook and open it; returns when its kernel is idle."""
        path = f"{secrets.token_hex(6)}.ipynb"
        (server.root / path).write_text(json.dumps(_notebook(cells)))
        return cls.visit(server, context, path)

    @classmethod
    def visit(cls, server: JupyterProcess, context: BrowserContext, path: str) -> Self:
        """Open a notebook that is there, in the page that waits for one (`lobby.py`) or in a new one."""
        waiting = lobby.waiting_page(context, server)
        page = waiting or context.new_page()
        opened = cls(server, page, path, [])
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        if waiting is not None:
            lobby.open_document(waiting, path)
        else:
            place = f"lab/workspaces/{secrets.token_hex(4)}/tree/{path}?" if server.app == "lab" else f"notebooks/{path}?"
            page.goto(f"{server.page_url}{place}token={server.token}", timeout=PAGE_LIMIT)
        opened.wait_until_idle()
        return opened

    def wait_until_idle(self) -> None:
        """The notebook is there and its kernel waits for work."""
        self.page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached", timeout=PAGE_LIMIT)
        wait_for(lambda: self._kernel_state() == "idle", PAGE_LIMIT / 1000, "an idle kernel")
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached", timeout=PAGE_LIMIT)

    def run_all(self) -> None:
        """Run > Run All Cells; does not wait."""
        self.command("notebook:run-all-cells")

    def run_cell(self, number: int) -> None:
        """Select a cell and press Shift+Enter; does not wait."""
        self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Shift+Enter")

    def command(self, name: str) -> None:
        """One of JupyterLab's commands; does not wait for its end, which may be the cells' end."""
        self.page.evaluate("name => void jupyterapp.commands.execute(name)", name)

    def output(self, number: int) -> Locator:
        """The output area of a cell, counted from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-Cell-outputArea")

    def text(self, number: int, timeout: float = 60.0) -> str:
        """What a cell printed or returned, once it has."""
        area = self.output(number)
        return wait_for(lambda: area.inner_text().strip() if area.count() else "", timeout, f"output of cell {number}")

    @property
    def room(self) -> Locator:
        """The room widget shown last."""
        return self.page.locator(".forge-rtc-room").last

    def room_joined(self) -> str:
        """Wait until the tab is in the room; its participant id."""
        joined = self.page.locator(".forge-rtc-room[data-state=joined][data-participant-id]").last
        joined.wait_for(state="visible", timeout=PAGE_LIMIT)
        return joined.get_attribute("data-participant-id") or ""

    def camera(self) -> Locator:
        return self.room.get_by_role("button", name="Camera", exact=True)

    def switch_camera_on(self) -> None:
        """Click Camera and wait for the preview."""
        self.camera().click()
        self.room.locator(".forge-rtc-local[data-live]").wait_for(state="visible", timeout=20_000)

    def evaluate(self, code: str, timeout: float = 60.0) -> Any:
        """Value of an expression in the notebook's kernel (after ``import json``), through JSON."""
        with RemoteKernel.attach(self.server.url, self.server.token, self.kernel_id) as kernel:
            return kernel.evaluate(code, timeout)

    def execute(self, code: str, timeout: float = 60.0) -> str:
        """Run statements in the notebook's kernel; what they printed."""
        with RemoteKernel.attach(self.server.url, self.server.token, self.kernel_id) as kernel:
            return kernel.run(code, timeout)

    @property
    def kernel_id(self) -> str:
        session = self._session()
        assert session is not None
        return str(session["kernel"]["id"])

    def shut_down(self) -> None:
        """Close the tab and end the kernel."""
        self.page.close()
        session = self._session()
        if session is not None:
            path = f"api/sessions/{session['id']}"
            wait_for(lambda: deleted(lambda: self.server.request("DELETE", path)), 30, "the kernel's end")

    def _session(self) -> dict[str, Any] | None:
        sessions: list[dict[str, Any]] = self.server.request("GET", "api/sessions")
        return next((s for s in sessions if s["path"] == self.path), None)

    def _kernel_state(self) -> str:
        session = self._session()
        return str(session["kernel"]["execution_state"]) if session is not None else ""


def _notebook(cells: list[str]) -> dict[str, Any]:
    return {
        "cells": [
            {"cell_type": "code", "id": f"cell-{n}", "metadata": {}, "outputs": [], "execution_count": None, "source": cell}
            for n, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
