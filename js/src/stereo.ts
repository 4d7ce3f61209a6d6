/** Opus that comes is played in stereo where we say that we take it (RFC 7587 section 6.1); pure, runs in the browser tab. */

/** The description with `stereo=1` for Opus on every m-line that only receives sound: a microphone has one channel anyway. */
export function takeStereo(sdp: string): string {
  return sdp
    .split(/^(?=m=)/m)
    .map((section) =>
      section.startsWith("m=audio") && /^a=recvonly\r?$/m.test(section) ? inStereo(section) : section,
    )
    .join("");
}

function inStereo(section: string): string {
  const opus = /^a=rtpmap:(\d+) opus\//im.exec(section)?.[1];
  if (opus === undefined) return section;
  const line = new RegExp(`^a=fmtp:${opus} ([^\r\n]*)`, "m");
  return section.replace(line, (whole, parameters: string) =>
    /(^|;)\s*stereo=/.test(parameters) ? whole : `${whole};stereo=1`,
  );
}
