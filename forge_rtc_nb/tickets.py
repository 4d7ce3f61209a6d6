"""Tickets and resume tokens: signed JWTs (RFC 7519) that are made and read in the server and in the engine; pure.

A ticket lets its bearer into one room once, within a minute. A resume token lets a participant come back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import jwt
import msgspec

from .errors import Unauthorized
from .protocol import Kind

AUDIENCE = "forge_rtc_nb"
MAX_TICKET_SECONDS = 60.0
MAX_RESUME_SECONDS = 12 * 3600.0
CLOCK_SKEW = 5.0
"""Seconds by which a token may seem to come from the future."""

KERNEL_KEY = "kernel"
"""``kid`` of the per-process secret that the server hands to its local kernels."""
SERVER_KEY = "server"
"""``kid`` of the server's own key."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Grant = Literal["join", "create"]


class Claims(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a verified token says."""

    typ: Literal["ticket", "resume"]
    aud: Literal["forge_rtc_nb"]
    jti: Text
    iat: float
    exp: float
    room: Text
    user: Text
    kind: Kind
    grants: Annotated[list[Grant], msgspec.Meta(max_length=8)]
    name: Annotated[str, msgspec.Meta(max_length=256)] | None = None
    owner: Text | None = None
    sub: Text | None = None
    """Participant id; in a resume token."""
    since: float | None = None
    """When its bearer last showed other credentials than a resume token; in a resume token."""
    srv: str | None = None
    """The server that made it; several servers of one account share a key file."""


def mint_ticket(
    secret: bytes | str,
    *,
    room: str,
    user: str,
    kind: Kind,
    grants: Iterable[str] = ("join", "create"),
    name: str | None = None,
    owner: str | None = None,
    lifetime: float = MAX_TICKET_SECONDS,
    now: float | None = None,
    kid: str = KERNEL_KEY,
    server: str | None = None,
) -> str:
    """A ticket for one room, to be sent in `room.hello` and nowhere else.

    ``lifetime`` is in seconds (at most 60), ``now`` in Unix seconds. ``kid`` says with whose key it is signed.
    """
    issued = time.time() if now is None else now
    claims: dict[str, Any] = {"typ": "ticket", "room": room, "user": user, "kind": kind, "grants": list(grants)}
    claims |= {"iat": issued, "exp": issued + lifetime, "name": name, "owner": owner, "srv": server}
    return _sign(secret, kid, claims)


def mint_resume(
    secret: bytes | str,
    *,
    participant_id: str,
    room: str,
    user: str,
    name: str,
    kind: Kind,
    grants: Iterable[str],
    lifetime: float = MAX_RESUME_SECONDS,
    now: float | None = None,
    since: float | None = None,
    server: str | None = None,
) -> str:
    """A resume token: its bearer continues as that participant of that room, at most 12 h after ``since`` (default: now)."""
    issued = time.time() if now is None else now
    since = issued if since is None else since
    expires = min(issued + lifetime, since + MAX_RESUME_SECONDS)
    claims: dict[str, Any] = {
        "typ": "resume",
        "sub": participant_id,
        "room": room,
        "user": user,
        "name": name,
        "kind": kind,
    }
    claims |= {"grants": list(grants), "iat": issued, "exp": expires, "since": since, "srv": server}
    return _sign(secret, SERVER_KEY, claims)


def verify(token: str, keys: Mapping[str, bytes | str], typ: Literal["ticket", "resume"], now: float) -> Claims:
    """The claims of a token with a good signature that is not expired; anything else is `Unauthorized`."""
    kid, payload = _unsign(token, keys)
    try:
        claims = msgspec.convert(payload, Claims)
    except msgspec.ValidationError as error:
        raise Unauthorized(f"this {typ} is malformed: {error}") from None
    longest = MAX_TICKET_SECONDS if typ == "ticket" else MAX_RESUME_SECONDS
    if claims.typ != typ:
        raise Unauthorized(f"this is a {claims.typ} token where a {typ} token is needed")
    if not (claims.iat - CLOCK_SKEW <= now < claims.exp <= claims.iat + longest + 0.001):
        raise Unauthorized(f"this {typ} is expired or not valid yet; a new ticket is needed")
    if kid == KERNEL_KEY and typ != "ticket":
        raise Unauthorized("the kernels' secret signs tickets and nothing else")
    return claims


def signed_by(token: str) -> str:
    """The ``kid`` that a token names; only meaningful once `verify` has accepted it."""
    return str(jwt.get_unverified_header(token).get("kid"))


def _sign(secret: bytes | str, kid: str, claims: dict[str, Any]) -> str:
    claims = {key: value for key, value in claims.items() if value is not None}
    claims |= {"aud": AUDIENCE, "jti": secrets.token_hex(16)}
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})


def _unsign(token: str, keys: Mapping[str, bytes | str]) -> tuple[str, dict[str, Any]]:
    try:
        kid = str(jwt.get_unverified_header(token).get("kid"))
        if kid not in keys:
            raise Unauthorized("this token was signed by nobody that is known here")
        # Times are checked by the caller, on a clock that tests can set; the algorithm is not the token's to choose.
        unchecked = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
        return kid, jwt.decode(token, keys[kid], algorithms=["HS256"], audience=AUDIENCE, options=unchecked)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized("this token's signature or form is not valid") from None
