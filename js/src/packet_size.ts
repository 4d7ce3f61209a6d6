/** What is said of packets that the browser takes: docs/protocol.md, Packets; pure, runs in the browser tab. */

/** Bytes of an SCTP packet. Chromium reads a DTLS record into 2048 bytes, and ends the connection over a longer one. */
const PACKET_SIZE = 2040;
const CHROMIUM = /Chrom(e|ium)\//;

/** The description with that said, in a browser of which it is known. */
export function announcePacketSize(sdp: string, browser: string): string {
  if (!CHROMIUM.test(browser)) return sdp;
  return sdp.replace(/^a=sctp-port:.*\r\n/m, `$&a=x-forge-packet-size:${PACKET_SIZE}\r\n`);
}
