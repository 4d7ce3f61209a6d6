"""Tickets and resume tokens: what is accepted, what is refused, and the key file (test process)."""

from __future__ import annotations

import base64
import json
import logging
import os
import platform
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest

from forge_rtc_nb.errors import Unauthorized
from forge_rtc_nb.protocol import Kind, Participant
from forge_rtc_nb.server import tickets as office_module
from forge_rtc_nb.server.tickets import KEY_FILE, TicketOffice, load_key
from forge_rtc_nb.tickets import MAX_RESUME_SECONDS, mint_resume, mint_ticket, verify

KEY = b"k" * 64
LOG = logging.getLogger("test")


class Clock:
    def __init__(self) -> None:
        self.now = 1_750_000_000.25

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def office(clock: Clock) -> TicketOffice:
    return make_office(clock)


def make_office(clock: Clock, key: bytes = KEY, server: str = "8888") -> TicketOffice:
    office = TicketOffice(key, ticket_seconds=60, resume_seconds=3600, clock=clock)
    office.server = server
    return office


def issue(office: TicketOffice, room: str = "r", kind: Kind = "browser") -> str:
    return office.issue(room=room, user="ann", kind=kind, grants=["join"], name="Ann", owner=None)


def person(name: str = "Ann") -> Participant:
    return Participant(id="0123456789abcdef", name=name, kind="browser", user="ann")


def resign(token: str, key: bytes, **changes: Any) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    return jwt.encode({**claims, **changes}, key, "HS256", {"kid": header["kid"]})


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"server"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def changed_payload(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["user"] = "eve"
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b'=').decode()}.{signature}"


def test_a_ticket_is_good_once(office: TicketOffice) -> None:
    ticket = issue(office)
    claims, kid = office.redeem(ticket, room="r", kind="browser")
    assert (claims.user, claims.name, claims.grants, kid) == ("ann", "Ann", ["join"], "server")
    with pytest.raises(Unauthorized, match="used already"):
        office.redeem(ticket, room="r", kind="browser")


def test_a_refused_ticket_is_not_spent(office: TicketOffice) -> None:
    ticket = issue(office)
    with pytest.raises(Unauthorized, match="another room"):
        office.redeem(ticket, room="other", kind="browser")
    with pytest.raises(Unauthorized, match="for a browser"):
        office.redeem(ticket, room="r", kind="kernel")
    assert office.redeem(ticket, room="r", kind="browser")


@pytest.mark.parametrize(
    ("forge", "why"),
    [
        (lambda token: resign(token, b"x" * 64), "signature"),
        (changed_payload, "signature"),
        (unsigned, "signature"),
        (lambda token: token[:-2], "signature"),
        (lambda token: "", "signature"),
        (lambda token: "a.b.c", "signature"),
        (lambda token: "\u00e4" * 40, "signature"),
        (lambda token: resign(token, KEY, aud="somebody else"), "signature"),
        (lambda token: resign(token, KEY, typ="resume"), "resume token where a ticket"),
        (lambda token: resign(token, KEY, grants=["reign"]), "malformed"),
        (lambda token: resign(token, KEY, user=""), "malformed"),
        (lambda token: resign(token, KEY, exp="tomorrow"), "malformed"),
        (lambda token: resign(token, KEY, exp=float("nan")), "malformed|expired"),
        (lambda token: resign(token, KEY, exp=1_750_000_000.25 + 61), "expired"),
        (lambda token: resign(token, KEY, iat=1_750_000_000.25 + 30), "not valid yet"),
        (lambda token: resign(token, KEY, srv="9999"), "another server"),
    ],
)
def test_forged_tickets_are_refused(office: TicketOffice, forge: Callable[[str], str], why: str) -> None:
    with pytest.raises(Unauthorized, match=why):
        office.redeem(forge(issue(office)), room="r", kind="browser")


def test_a_key_of_another_algorithm_family_is_refused(office: TicketOffice) -> None:
    token = jwt.encode({"typ": "ticket"}, KEY, "HS512", {"kid": "server"})
    with pytest.raises(Unauthorized, match="signature"):
        office.redeem(token, room="r", kind="browser")


def test_a_ticket_expires(office: TicketOffice, clock: Clock) -> None:
    ticket = issue(office)
    clock.now += 60.5
    with pytest.raises(Unauthorized, match="expired"):
        office.redeem(ticket, room="r", kind="browser")


def test_tickets_from_before_a_restart_are_refused(office: TicketOffice, clock: Clock) -> None:
    ticket = issue(office)
    clock.now += 1
    with pytest.raises(Unauthorized, match="last start"):
        make_office(clock).redeem(ticket, room="r", kind="browser")


def test_used_tickets_are_forgotten_once_they_expired(office: TicketOffice, clock: Clock) -> None:
    for _ in range(50):
        office.redeem(issue(office), room="r", kind="browser")
        clock.now += 10
    assert len(office._used) <= 7


@pytest.mark.parametrize("kind", ["kernel", "browser"])
def test_a_kernel_signs_tickets_for_itself_and_for_a_tab_without_a_way(kind: Kind, office: TicketOffice, clock: Clock) -> None:
    ticket = mint_ticket(office.kernel_secret, room="r", user="x", kind=kind, now=clock.now)
    claims, kid = office.redeem(ticket, room="r", kind=kind)
    assert (claims.grants, kid) == (["join", "create"], "kernel")


def test_a_kernel_cannot_sign_a_resume_token(office: TicketOffice, clock: Clock) -> None:
    token = mint_resume(
        office.kernel_secret,
        participant_id="a",
        room="r",
        user="x",
        name="x",
        kind="kernel",
        grants=["join"],
        now=clock.now,
    )
    forged = jwt.encode(
        jwt.decode(token, options={"verify_signature": False}), office.kernel_secret, "HS256", {"kid": "kernel"}
    )
    for attempt in (token, forged):
        with pytest.raises(Unauthorized):
            office.check_resume(attempt, room="r", kind="kernel")


def test_an_unknown_signer_is_refused(clock: Clock) -> None:
    token = mint_ticket(KEY, room="r", user="x", kind="kernel", now=clock.now, kid="nobody")
    with pytest.raises(Unauthorized, match="nobody that is known"):
        verify(token, {"server": KEY}, "ticket", clock.now)


def test_a_resume_token_is_replaced_by_the_next(office: TicketOffice, clock: Clock) -> None:
    first = office.issue_resume(person(), "r", ["join"])
    assert office.check_resume(first, room="r", kind="browser").sub == person().id
    second = office.issue_resume(person(), "r", ["join"])
    with pytest.raises(Unauthorized, match="replaced"):
        office.check_resume(first, room="r", kind="browser")
    assert office.check_resume(second, room="r", kind="browser").name == "Ann"


def test_after_a_restart_the_signature_of_a_resume_token_counts(office: TicketOffice, clock: Clock) -> None:
    token = office.issue_resume(person(), "r", ["join"])
    clock.now += 5
    assert make_office(clock).check_resume(token, room="r", kind="browser").user == "ann"
    with pytest.raises(Unauthorized, match="another server"):
        make_office(clock, server="9999").check_resume(token, room="r", kind="browser")
    with pytest.raises(Unauthorized, match="signature"):
        make_office(clock, key=b"n" * 64).check_resume(token, room="r", kind="browser")


def test_a_resume_token_is_bound_to_room_and_kind_and_expires(office: TicketOffice, clock: Clock) -> None:
    token = office.issue_resume(person(), "r", ["join"])
    for room, kind in (("other", "browser"), ("r", "kernel")):
        with pytest.raises(Unauthorized, match="another room or another kind"):
            office.check_resume(token, room=room, kind=kind)  # type: ignore[arg-type]
    clock.now += 3601
    with pytest.raises(Unauthorized, match="expired"):
        office.check_resume(token, room="r", kind="browser")


def test_renewing_resume_tokens_ends_12_hours_after_the_first_entry(clock: Clock) -> None:
    office = TicketOffice(KEY, ticket_seconds=60, resume_seconds=MAX_RESUME_SECONDS, clock=clock)
    entered = clock.now
    token = office.issue_resume(person(), "r", [])
    for _ in range(3):
        clock.now += 3.5 * 3600
        claims = office.check_resume(token, room="r", kind="browser")
        assert claims.since == entered
        token = office.issue_resume(person(), "r", [], claims.since)
    clock.now = entered + 12 * 3600 - 1
    assert office.check_resume(token, room="r", kind="browser")
    clock.now = entered + 12 * 3600
    with pytest.raises(Unauthorized, match="a new ticket is needed"):
        office.check_resume(token, room="r", kind="browser")


def test_the_memory_for_resume_tokens_is_bounded(office: TicketOffice, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office_module, "MAX_REMEMBERED", 10)
    for number in range(30):
        office.issue_resume(Participant(id=f"{number:016x}", name="n", kind="kernel", user="u"), "r", [])
    assert len(office._newest) == 10


def test_a_server_has_a_public_id_that_outlives_its_restart(
    office: TicketOffice, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert re.fullmatch("[0-9a-f]{16}", office.server_id)
    clock.now += 86400
    assert make_office(clock).server_id == office.server_id
    ids = {office.server_id, make_office(clock, server="9999").server_id, make_office(clock, key=b"n" * 64).server_id}
    assert make_office(clock, server="/run/b\udcff.sock").server_id not in ids
    monkeypatch.setattr(platform, "node", lambda: "another-machine")
    assert len({*ids, make_office(clock).server_id}) == 4


def test_secrets_stand_in_no_repr(office: TicketOffice) -> None:
    assert office.kernel_secret not in repr(office)
    assert KEY.decode() not in repr(office)


def test_the_key_file_is_private_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "runtime"
    key = load_key(folder, LOG)
    assert len(key) == 64
    assert load_key(folder, LOG) == key
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("damage", ["readable", "short", "link"])
def test_a_key_file_that_others_may_have_read_or_written_is_replaced(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    key = load_key(tmp_path, LOG)
    path = tmp_path / KEY_FILE
    if damage == "readable":
        path.chmod(0o644)
    elif damage == "short":
        path.write_bytes(key[:10])
    else:
        path.rename(tmp_path / "elsewhere")
        os.symlink(tmp_path / "elsewhere", path)
    assert load_key(tmp_path, LOG) != key
    assert not path.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "replaced by a new key" in caplog.text


def test_the_first_of_two_servers_that_start_at_once_makes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = office_module._create_key

    def after_another(path: Path) -> None:
        create(path)
        create(path)

    monkeypatch.setattr(office_module, "_create_key", after_another)
    key = load_key(tmp_path, LOG)
    assert load_key(tmp_path, LOG) == key


def test_a_file_system_without_hard_links_gets_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", no_links)
    assert load_key(tmp_path, LOG) == load_key(tmp_path, LOG)
