"""ICE settings: expansion, URLs, the YAML file, and changes while the server runs (test process)."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest

from forge_rtc_nb.errors import InvalidConfig
from forge_rtc_nb.protocol import IceServer
from forge_rtc_nb.server.ice import IceServers, check_url, expand

LOG = logging.getLogger("test")
TURN = {"urls": ["turn:turn.example.com"], "username": "u", "credential": "c"}


def make(stun: Any = (), turn: Any = (), settings_file: str = "") -> IceServers:
    return IceServers(lambda: (list(stun), list(turn), settings_file), lambda name: "in /etc/config.py", LOG)


@pytest.mark.parametrize(
    "url",
    [
        "stun:stun.example.com",
        "stun:stun.example.com:3478",
        "stuns:192.0.2.7:5349",
        "stun:[2001:db8::1]:3478",
        "stun:localhost",
    ],
)
def test_stun_urls_of_rfc_7064_are_accepted(url: str) -> None:
    assert check_url(url, "stun", "here") == url


@pytest.mark.parametrize(
    "url",
    ["turn:turn.example.com", "turns:turn.example.com:443?transport=tcp", "turn:[::1]?transport=udp"],
)
def test_turn_urls_of_rfc_7065_are_accepted(url: str) -> None:
    assert check_url(url, "turn", "here") == url


@pytest.mark.parametrize(
    ("url", "family"),
    [
        ("stun://stun.example.com", "stun"),
        ("http://stun.example.com", "stun"),
        ("turn:turn.example.com", "stun"),
        ("stun:stun.example.com", "turn"),
        ("stun:", "stun"),
        ("stun:a b", "stun"),
        ("stun:user@host", "stun"),
        ("stun:host:0", "stun"),
        ("stun:host:65536", "stun"),
        ("stun:host:port", "stun"),
        ("stun:host?transport=udp", "stun"),
        ("turn:host?transport=sctp", "turn"),
        ("turn:host?", "turn"),
        ("stun:[::1", "stun"),
        ("stun:[nonsense]", "stun"),
        ("stun:-host", "stun"),
        ("stun:host\n", "stun"),
        ("STUN", "stun"),
    ],
)
def test_malformed_urls_are_refused_by_name(url: str, family: Any) -> None:
    with pytest.raises(InvalidConfig, match="some.setting") as refused:
        check_url(url, family, "some.setting")
    assert repr(url) in str(refused.value)


def test_variables_are_expanded() -> None:
    environ = {"A": "1", "B_2": "two"}
    assert expand("x${A}y${B_2}", "here", environ) == "x1ytwo"
    assert expand("$A $${A} $$", "here", environ) == "$A ${A} $$"
    assert expand("${A}", "here", {"A": "${B}"}) == "${B}"


@pytest.mark.parametrize("text", ["${", "${}", "${A-B}", "${ A}", "${A"])
def test_malformed_variables_are_refused(text: str) -> None:
    with pytest.raises(InvalidConfig, match="is no variable"):
        expand(text, "here", {"A": "1"})


def test_a_missing_variable_is_named_with_its_setting_and_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_THERE", raising=False)
    with pytest.raises(InvalidConfig) as refused:
        make(turn=[{**TURN, "credential": "${NOT_THERE}"}])
    for part in ("c.ForgeRTC.turn_servers[0].credential", "NOT_THERE", "/etc/config.py"):
        assert part in str(refused.value)


def test_settings_become_ice_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIAL", "s3cret")
    ice = make(stun=["stun:a"], turn=[{"urls": "turn:b", "username": "u", "credential": "${CREDENTIAL}"}])
    assert ice.current() == [
        IceServer(urls=["stun:a"]),
        IceServer(urls=["turn:b"], username="u", credential="s3cret"),
    ]


def test_no_server_is_the_default() -> None:
    assert make().current() == []


@pytest.mark.parametrize(
    "turn",
    [
        {"urls": ["turn:a"]},
        {"urls": [], "username": "u", "credential": "c"},
        {"urls": 7, "username": "u", "credential": "c"},
        {"urls": [7], "username": "u", "credential": "c"},
        {**TURN, "password": "x"},
        {**TURN, "username": ""},
        "turn:a",
    ],
)
def test_incomplete_turn_servers_are_refused(turn: Any) -> None:
    with pytest.raises(InvalidConfig, match=r"turn_servers\[0\]"):
        make(turn=[turn])


def test_the_yaml_file_is_added_to_the_traits(tmp_path: Path) -> None:
    path = tmp_path / "webrtc.yaml"
    path.write_text(
        "extensions:\n  webrtc:\n    stun_servers: ['stun:b']\n    turn_servers:\n"
        "      - {urls: ['turn:c'], username: u, credential: c}\n"
    )
    urls = [server.urls for server in make(stun=["stun:a"], settings_file=str(path)).current()]
    assert urls == [["stun:a"], ["stun:b"], ["turn:c"]]


@pytest.mark.parametrize("text", ["", "extensions:\n", "extensions: {other: {}}\n", "[1, 2]"])
def test_a_yaml_file_without_our_section_adds_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "webrtc.yaml"
    path.write_text(text)
    assert make(settings_file=str(path)).current() == []


@pytest.mark.parametrize(
    "text",
    [
        "extensions: [",
        "extensions: {webrtc: [1]}",
        "extensions: {webrtc: {stun: ['stun:a']}}",
        "extensions: {webrtc: {stun_servers: 'stun:a'}}",
        "extensions: {webrtc: {stun_servers: ['stun://a']}}",
        "extensions: {webrtc: {stun_servers: ['stun:${NOT_THERE}']}}",
    ],
)
def test_a_wrong_yaml_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "webrtc.yaml"
    path.write_text(text)
    with pytest.raises(InvalidConfig, match="webrtc.yaml"):
        make(settings_file=str(path))


def test_a_missing_or_unreadable_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"extensions: \xe4")
    for name in ("missing.yaml", "latin.yaml"):
        with pytest.raises(InvalidConfig, match=name):
            make(settings_file=str(tmp_path / name))


def test_a_changed_file_counts_at_the_next_question_and_a_wrong_one_not_at_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "webrtc.yaml"
    stamp = 1_750_000_000

    def write(text: str) -> None:
        nonlocal stamp
        stamp += 1
        path.write_text(text)
        os.utime(path, (stamp, stamp))

    write("extensions: {webrtc: {stun_servers: ['stun:a']}}")
    ice = make(settings_file=str(path))
    write("extensions: {webrtc: {stun_servers: ['stun:b']}}")
    assert ice.current() == [IceServer(urls=["stun:b"])]
    write("extensions: {webrtc: {stun_servers: ['stun://c']}}")
    assert ice.current() == ice.current() == [IceServer(urls=["stun:b"])]
    assert caplog.text.count("stay as they were") == 1
    write("extensions: {webrtc: {stun_servers: ['stun:d']}}")
    assert ice.current() == [IceServer(urls=["stun:d"])]
