"""Who a request or a ticket stands for; Jupyter server process."""

from __future__ import annotations

import getpass
import os
from dataclasses import dataclass
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.identity import LegacyIdentityProvider, User

from ..protocol import Kind
from ..tickets import KERNEL_KEY, Claims

RESOURCE = "forge_rtc"
"""The name that authorizers see."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """What valid credentials say about whoever shows them."""

    user: str
    name: str | None = None
    """Display name where the hello brings none."""
    kind: Kind | None = None
    """None where the credentials are good for both kinds."""
    grants: frozenset[str] = frozenset()
    owner: str | None = None
    participant_id: str | None = None
    """Set where the visitor comes back with a resume token."""
    since: float | None = None
    """Unix seconds at which it last showed anything better than a resume token; None: now."""


def server_user() -> str:
    """The one user of a server that tells nobody apart: the hub's name for it, else the account it runs in."""
    hub_user = os.environ.get("JUPYTERHUB_USER")
    if hub_user:
        return hub_user
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no passwd entry, as in many containers
        return "user"


def user_of(handler: Any, user: User) -> str:
    """The user name of an authenticated request.

    Jupyter's own providers invent a new anonymous user for each browser, and for each request with a token:
    whoever holds the token or the password is the server's one user.
    """
    provider = handler.identity_provider
    stock = type(provider).__module__ == LegacyIdentityProvider.__module__
    if isinstance(provider, LegacyIdentityProvider):
        stock = provider.login_handler_class.__module__.startswith("jupyter_server.")
    return server_user() if stock else user.username


async def visitor_of(handler: Any, user: User) -> Visitor:
    """The visitor whom a `JupyterHandler` request with valid credentials stands for, and what they may do."""
    actions = {"join": "execute", "create": "write"}
    grants = [
        grant
        for grant, action in actions.items()
        if await ensure_async(handler.authorizer.is_authorized(handler, user, action, RESOURCE))
    ]
    return Visitor(user_of(handler, user), name=user.display_name, grants=frozenset(grants))


def visitor_from(claims: Claims, kid: str) -> Visitor:
    """The visitor whom a verified ticket or resume token stands for."""
    return Visitor(
        # A kernel of this machine runs in the server's account, whatever it says.
        user=server_user() if kid == KERNEL_KEY else claims.user,
        name=claims.name,
        kind=claims.kind,
        grants=frozenset(claims.grants),
        owner=claims.owner,
        participant_id=claims.sub,
        since=None if claims.sub is None else claims.since or claims.iat,
    )
