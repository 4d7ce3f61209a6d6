/** Which m-lines say that they take stereo. */

import { expect, test } from "vitest";
import { takeStereo } from "../../src/stereo";

const audio = (direction: string, fmtp = "minptime=10;useinbandfec=1") =>
  [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0",
    `a=${direction}`,
    "a=rtpmap:111 opus/48000/2",
    `a=fmtp:111 ${fmtp}`,
    "a=rtpmap:63 red/48000/2",
    "a=fmtp:63 111/111",
    "",
  ].join("\r\n");
const video = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=recvonly\r\na=rtpmap:96 VP8/90000\r\n";
const head = "v=0\r\na=group:BUNDLE 0 1\r\n";

test("a line that only receives takes stereo, and nothing else changes", () => {
  const before = head + audio("recvonly") + video + audio("sendonly");
  const after = head + audio("recvonly", "minptime=10;useinbandfec=1;stereo=1") + video + audio("sendonly");
  expect(takeStereo(before)).toBe(after);
  expect(takeStereo(after)).toBe(after);
});

test("what a browser says of stereo itself stays", () => {
  const sdp = head + audio("recvonly", "stereo=0;useinbandfec=1");
  expect(takeStereo(sdp)).toBe(sdp);
});

test("a line without Opus stays as it is", () => {
  const sdp = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=recvonly\r\na=rtpmap:0 PCMU/8000\r\n";
  expect(takeStereo(sdp)).toBe(sdp);
});
