"""Gets a ticket for a browser tab that cannot reach the server with credentials of its own (engine process)."""

from __future__ import annotations

import asyncio

from ..control import Way
from ..errors import Forbidden
from ..rest import rest
from ..tickets import mint_ticket


async def request_ticket(way: Way, room: str, owner: str) -> dict[str, str]:
    """``{"url", "ticket"}`` for one tab that shows the kernel ``owner``'s notebook."""
    if way.secret is not None:
        return {"url": way.url, "ticket": mint_ticket(way.secret, room=room, user="kernel", kind="browser", owner=owner)}
    if way.token is None:
        raise Forbidden("this kernel came in by a ticket itself and cannot give others away; open the notebook in JupyterLab")
    body = {"room": room, "kind": "browser", "owner": owner}
    answer = await asyncio.to_thread(rest, way, "POST", "tickets", body)
    return {"url": way.url, "ticket": str(answer["ticket"])}
