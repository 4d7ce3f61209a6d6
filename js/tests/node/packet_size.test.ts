/** Who says how large its packets may be. */

import { expect, test } from "vitest";
import { announcePacketSize } from "../../src/packet_size";

const AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)";
const head = "v=0\r\na=group:BUNDLE 0 1\r\n";
const video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n";
const data =
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";

test.each([
  "Chrome/150.0.0.0 Safari/537.36",
  "HeadlessChrome/150.0.0.0 Safari/537.36",
  "Chromium/150.0 Chrome/150.0",
])("%s says it once, where data channels are described", (name) => {
  const said = announcePacketSize(head + data + video, `${AGENT} ${name}`);
  expect(said.split(/^m=/m)[1]).toContain(
    "a=sctp-port:5000\r\na=x-forge-packet-size:2040\r\na=max-message-size",
  );
  expect(said.replace("a=x-forge-packet-size:2040\r\n", "")).toBe(head + data + video);
});

test.each([
  "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
  "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15",
  "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/150.0 Mobile/15E148 Safari/604.1",
])("%s says nothing: it is not known there", (agent) => {
  expect(announcePacketSize(head + data + video, agent)).toBe(head + data + video);
});

test("a description without data channels stays as it is", () => {
  expect(announcePacketSize(head + video, `${AGENT} Chrome/150.0.0.0`)).toBe(head + video);
});
