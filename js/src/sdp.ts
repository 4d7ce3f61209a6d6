/** What session descriptions and candidates have to be like before a parser sees them; pure, used by the protocol only. */

import { DecodeError } from "./schema";

export const MAX_MEDIA_LINES = 32;
const MAX_SDP = 64 * 1024;
const MAX_CANDIDATES = 128;

/** Refuse a description that is not SDP at all or is over the limits (RFC 8866). */
export function checkSdp(sdp: string): void {
  const refuse = (why: string): never => {
    throw new DecodeError(why, "invalid-sdp");
  };
  if ([...sdp].length > MAX_SDP) refuse(`an SDP may have ${MAX_SDP} characters`);
  if (!sdp.startsWith("v=0")) refuse("an SDP starts with 'v=0'");
  if ((sdp.match(/(^|[\r\n])m=/g) ?? []).length > MAX_MEDIA_LINES)
    refuse(`an SDP may have ${MAX_MEDIA_LINES} m-lines`);
  if ((sdp.match(/(^|[\r\n])a=candidate:/g) ?? []).length > MAX_CANDIDATES)
    refuse(`an SDP may have ${MAX_CANDIDATES} candidates`);
}

const CANDIDATE =
  /^(a=)?candidate:\S{1,32} [0-9]{1,5} \S{1,16} [0-9]{1,10} \S{1,255} [0-9]{1,5} typ \S{1,16}( [^\n]*)?$/;

/** Refuse what is not a candidate attribute (RFC 8839 section 5.1); the empty string ends a generation. */
export function checkCandidate(line: string): void {
  if (line !== "" && !CANDIDATE.test(line)) {
    throw new DecodeError("a candidate reads 'candidate:<foundation> <component> ...'", "invalid-candidate");
  }
}
