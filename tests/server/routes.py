"""Prints the endpoints that the extension adds to a server, found by walking its router (a process of its own)."""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

from jupyter_server.serverapp import ServerApp
from tornado.routing import RuleRouter
from tornado.web import RequestHandler


def walk(router: Any) -> list[tuple[str, str, list[str]]]:
    """(path pattern, handler class, methods that it defines) of every rule whose handler is ours."""
    found = []
    for rule in router.rules:
        if isinstance(rule.target, RuleRouter):
            found += walk(rule.target)
        elif issubclass(rule.target, RequestHandler) and rule.target.__module__.startswith("forge_rtc_nb"):
            methods = [name for name in rule.target.SUPPORTED_METHODS if hasattr(rule.target, name.lower())]
            found.append((rule.matcher.regex.pattern, rule.target.__name__, methods))
    return found


def main() -> None:
    folder = tempfile.mkdtemp()
    app = ServerApp(jpserver_extensions={"forge_rtc_nb": True}, runtime_dir=folder, root_dir=folder)
    app.initialize(argv=[], find_extensions=False, new_httpserver=False)
    json.dump(walk(app.web_app.default_router), sys.stdout)


if __name__ == "__main__":
    main()
