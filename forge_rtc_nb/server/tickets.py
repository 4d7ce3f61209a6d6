"""Issues and redeems tickets and resume tokens: key file, single use, rotation; Jupyter server process."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import os
import platform
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ..errors import Unauthorized
from ..protocol import Kind, Participant
from ..tickets import KERNEL_KEY, SERVER_KEY, Claims, mint_resume, mint_ticket, signed_by, verify

KEY_FILE = "forge_rtc_nb.key"
MAX_REMEMBERED = 65536
"""Resume tokens, and used tickets, that one server keeps in mind, 200 bytes each; beyond it the oldest go."""


class TicketOffice:
    """Everything that one server process knows about tickets and resume tokens.

    Used tickets are remembered until they expire; those issued before this process started are refused, because
    what was used then is forgotten. Of resume tokens only the hash of each participant's newest is kept.
    """

    def __init__(
        self,
        key: bytes,
        *,
        ticket_seconds: float,
        resume_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.kernel_secret = secrets.token_urlsafe(32)
        """Signs the tickets that local kernels make for themselves; it ends with this process."""
        self.server = ""
        """Name of this server among those that share the key file (its port or socket); set once it is known."""
        self.ticket_seconds = ticket_seconds
        self._resume_seconds = resume_seconds
        self._key = key
        self._keys: dict[str, bytes | str] = {SERVER_KEY: key, KERNEL_KEY: self.kernel_secret}
        self._clock = clock
        self._started = clock()
        self._used: dict[str, tuple[bytes, float]] = {}
        self._newest: dict[str, tuple[bytes, float]] = {}

    @property
    def server_id(self) -> str:
        """Public id of this server, the same after its restart: 16 hexadecimal digits that tell nothing about the key."""
        # The label keeps this apart from what the same key signs: no JWT begins with it. The machine's name, because
        # a home folder that several machines mount holds one key for all of them, and ports repeat.
        place = f"server-id:{platform.node()}:{self.server}"
        return hmac.new(self._key, place.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:16]

    def issue(self, *, room: str, user: str, kind: Kind, grants: Iterable[str], name: str | None, owner: str | None) -> str:
        """A ticket signed with the server's own key."""
        return mint_ticket(
            self._keys[SERVER_KEY],
            room=room,
            user=user,
            kind=kind,
            grants=grants,
            name=name,
            owner=owner,
            lifetime=self.ticket_seconds,
            now=self._clock(),
            kid=SERVER_KEY,
            server=self.server,
        )

    def redeem(self, ticket: str, *, room: str | None, kind: Kind) -> tuple[Claims, str]:
        """The claims of a ticket, which is spent by that, and the ``kid`` of its key; or `Unauthorized`.

        ``room`` is the room that the bearer wants to enter; None where no certain room is meant.
        """
        now = self._clock()
        claims = verify(ticket, self._keys, "ticket", now)
        kid = signed_by(ticket)
        self._check_here(claims, kid)
        if claims.iat < self._started:
            raise Unauthorized("this ticket is older than the server's last start; ask for a new one")
        if room is not None and claims.room != room:
            raise Unauthorized("this ticket is for another room")
        if claims.kind != kind:
            raise Unauthorized(f"this ticket is for a {claims.kind}, not for a {kind}")
        self._spend(claims, now)
        return claims, kid

    def issue_resume(self, participant: Participant, room: str, grants: Iterable[str], since: float | None = None) -> str:
        """A new resume token; the participant's earlier ones stop working.

        ``since``: that of the token which it renews; None where its bearer showed other credentials now.
        """
        now = self._clock()
        token = mint_resume(
            self._keys[SERVER_KEY],
            participant_id=participant.id,
            room=room,
            user=participant.user,
            name=participant.name,
            kind=participant.kind,
            grants=grants,
            lifetime=self._resume_seconds,
            now=now,
            since=since,
            server=self.server,
        )
        self._newest.pop(participant.id, None)
        _forget_expired(self._newest, now)
        self._newest[participant.id] = (_hash(token), now + self._resume_seconds)
        return token

    def knows(self, participant_id: str) -> bool:
        """Whether this process has given that participant a resume token."""
        return participant_id in self._newest

    def check_resume(self, token: str, *, room: str, kind: Kind) -> Claims:
        """The claims of a participant's newest resume token; or `Unauthorized`.

        After a restart nothing is known about the participant and the signature alone counts.
        """
        claims = verify(token, self._keys, "resume", self._clock())
        self._check_here(claims, SERVER_KEY)
        if (claims.room, claims.kind) != (room, kind) or claims.sub is None:
            raise Unauthorized("this resume token is for another room or another kind of participant")
        newest = self._newest.get(claims.sub)
        if newest is not None and not secrets.compare_digest(newest[0], _hash(token)):
            raise Unauthorized("this resume token was replaced by a newer one; join afresh")
        return claims

    def _check_here(self, claims: Claims, kid: str) -> None:
        if kid == SERVER_KEY and claims.srv != self.server:
            raise Unauthorized("this token was made by another server")

    def _spend(self, claims: Claims, now: float) -> None:
        if claims.jti in self._used:
            raise Unauthorized("this ticket was used already; ask for a new one")
        _forget_expired(self._used, now)
        self._used[claims.jti] = (b"", claims.exp)


def _forget_expired(memory: dict[str, tuple[bytes, float]], now: float) -> None:
    """Forget from the oldest on; entries stand in the order of their making, which is nearly that of their expiry."""
    while memory:
        oldest = next(iter(memory))
        if memory[oldest][1] > now and len(memory) < MAX_REMEMBERED:
            return
        del memory[oldest]


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def load_key(directory: Path, log: logging.Logger) -> bytes:
    """The server's signing key out of ``directory`` (Jupyter's runtime folder), made at the first start."""
    path = directory / KEY_FILE
    for _ in range(3):
        try:
            return _read_key(path)
        except FileNotFoundError:
            _create_key(path)
        except (OSError, ValueError) as problem:
            # Whoever could read it may have kept it: the repair is a new key, not new permissions.
            log.warning("forge_rtc_nb: %s is replaced by a new key: %s", path, problem)
            path.unlink()
    raise OSError(f"{path} changes while it is read; is something else writing it?")


def _read_key(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
            raise ValueError(f"others can read or own it (mode {stat.S_IMODE(status.st_mode):o})")
        key = file.read(1024).strip()
    if len(key) != 64:
        raise ValueError("it does not hold a key")
    return key


def _create_key(path: Path) -> None:
    """Write a fresh key next to its place and link it there: nobody ever reads half of one, and the first wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            _put_in_place(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _put_in_place(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.replace(draft, path)
