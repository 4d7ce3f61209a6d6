"""A UDP proxy that can lose datagrams, between a page's peer connections and their other ends (test process)."""

from __future__ import annotations

import ipaddress
import json
import random
import selectors
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

Address = tuple[Any, ...]
"""As `socket` has it: host and port, two more numbers for IPv6."""

BUFFER = 1 << 20
"""Bytes that the kernel keeps for us: what is lost is to be lost by chance, not by a full buffer."""

_SCRIPT = """
(() => {
  const Original = window.RTCPeerConnection;
  // "candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host": the proxy's port in the place of the real one.
  const through = async line => {
    const parts = line.split(" ");
    if (parts[2].toLowerCase() !== "udp" || parts[4].endsWith(".local")) return null;
    const answer = await fetch(`%s?ip=${encodeURIComponent(parts[4])}&port=${parts[5]}`);
    parts[5] = (await answer.json()).port;
    return parts.join(" ");
  };
  const rewritten = async sdp => {
    const lines = sdp.split(/\\r?\\n/);
    const changed = await Promise.all(lines.map(l => l.startsWith("a=candidate:") ? through(l) : l));
    return changed.filter(line => line !== null).join("\\r\\n");
  };
  const silent = description => description && new RTCSessionDescription({
    type: description.type,
    sdp: description.sdp.replace(/^a=candidate:.*\\r?\\n/gm, ""),
  });
  window.RTCPeerConnection = class extends Original {
    get localDescription() { return silent(super.localDescription); }
    get currentLocalDescription() { return silent(super.currentLocalDescription); }
    get pendingLocalDescription() { return silent(super.pendingLocalDescription); }
    get onicecandidate() { return null; }
    set onicecandidate(listener) {}
    addEventListener(type, ...rest) {
      if (type !== "icecandidate") super.addEventListener(type, ...rest);
    }
    async setRemoteDescription({ type, sdp }) {
      await super.setRemoteDescription({ type, sdp: await rewritten(sdp) });
    }
    async addIceCandidate(candidate) {
      if (!candidate?.candidate) return;
      const line = await through(candidate.candidate);
      if (line === null) return;
      const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
      await super.addIceCandidate({ candidate: line, sdpMid, sdpMLineIndex, usernameFragment });
    }
  };
})();
"""


class UdpProxy:
    """The only way between a page with `script` and whatever it connects to; a context manager.

    The page knows the others by ports of this proxy, and they learn no address of the page: it reaches them first, as with
    ``.local`` candidates. Attributes may be changed at any time, in any thread.
    """

    def __init__(self, loss: float = 0.0, seed: int = 1) -> None:
        self.loss = loss
        """Probability, 0 to 1, with which a datagram is dropped; in both directions."""
        self.blocked = False
        """True: nothing passes."""
        self.forwarded = 0
        self.dropped = 0
        self._chance = random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._ports: dict[tuple[str, int], int] = {}
        self._lock = threading.Lock()
        self._ending, self._wake = socket.socketpair()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._threads = [
            threading.Thread(target=self._run, name="udp-proxy", daemon=True),
            threading.Thread(target=self._http.serve_forever, name="udp-proxy-http", daemon=True),
        ]

    @property
    def script(self) -> str:
        """For Playwright's ``add_init_script``: has a page's peer connections go through this proxy."""
        return _SCRIPT % f"http://127.0.0.1:{self._http.server_address[1]}/port"

    def port(self, ip: str, port: int) -> int:
        """The port, at the same IP address, that stands for this one."""
        with self._lock:
            if (ip, port) not in self._ports:
                family = socket.AF_INET6 if ipaddress.ip_address(ip).version == 6 else socket.AF_INET
                entrance = _bound(family, ip)
                self._ports[ip, port] = entrance.getsockname()[1]
                # Selectors take new sockets while they wait (epoll_ctl(2)).
                self._selector.register(entrance, selectors.EVENT_READ, _Entrance(self, entrance, (ip, port)))
            return self._ports[ip, port]

    def watch(self, exit_: socket.socket, call: _Exit) -> None:
        """Have the thread call this when something comes."""
        self._selector.register(exit_, selectors.EVENT_READ, call)

    def passes(self) -> bool:
        """Whether the next datagram gets through; counts it."""
        if self.blocked or (self.loss and self._chance.random() < self.loss):
            self.dropped += 1
            return False
        self.forwarded += 1
        return True

    def _run(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._ending:
                    return
                key.data()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                body = json.dumps({"port": proxy.port(query["ip"][0], int(query["port"][0]))}).encode()
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Tests' output is not the place."""

        return Handler

    def __enter__(self) -> Self:
        self._selector.register(self._ending, selectors.EVENT_READ)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._wake.close()
        for thread in self._threads:
            thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


class _Entrance:
    """Stands for one remote candidate: what pages send here goes there, from a socket for each page's address."""

    def __init__(self, proxy: UdpProxy, entrance: socket.socket, target: Address) -> None:
        self._proxy = proxy
        self._socket = entrance
        self._target = target
        self._exits: dict[Address, socket.socket] = {}

    def __call__(self) -> None:
        with suppress(BlockingIOError):
            while True:
                data, page = self._socket.recvfrom(65536)
                if self._proxy.passes():
                    with suppress(OSError):  # nobody is there any more
                        self._exit(page).send(data)

    def _exit(self, page: Address) -> socket.socket:
        if page not in self._exits:
            exit_ = _bound(self._socket.family, self._target[0])
            exit_.connect(self._target)
            self._exits[page] = exit_
            self._proxy.watch(exit_, _Exit(self._proxy, self._socket, exit_, page))
        return self._exits[page]


class _Exit:
    """The way back to one page."""

    def __init__(self, proxy: UdpProxy, entrance: socket.socket, exit_: socket.socket, page: Address) -> None:
        self._proxy = proxy
        self._entrance = entrance
        self._socket = exit_
        self._page = page

    def __call__(self) -> None:
        with suppress(BlockingIOError, ConnectionRefusedError):
            while True:
                data = self._socket.recv(65536)
                if self._proxy.passes():
                    with suppress(OSError):
                        self._entrance.sendto(data, self._page)


def _bound(family: socket.AddressFamily, ip: str) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    bound.setblocking(False)
    bound.bind((ip, 0))
    return bound
