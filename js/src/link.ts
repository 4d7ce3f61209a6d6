/** What a negotiation knows of its present connection; pure, runs in the browser tab. */

import { Lines } from "./lines";
import type { Candidate, MediaKind, Message, Stream } from "./protocol";

/** Candidates that are kept to be said again; a browser finds a dozen, unless the other offers without bundling. */
export const MAX_FOUND = 128;

interface Slot {
  kind: MediaKind;
  stream: Stream | null;
}

export interface Link {
  readonly epoch: number;
  /** Where the offer/answer exchange stands; "settling" while the answer is being applied. */
  phase: "stable" | "offering" | "offered" | "answering" | "settling";
  /** True once an offer was answered: from then on the epoch is common knowledge. */
  agreed: boolean;
  needsOffer: boolean;
  /** Candidates are held until the description that they belong to is sent, so that they never arrive before it. */
  held: Candidate[] | null;
  /** Those that were sent, as long as some of them may be needed again: until the connection is open. */
  found: Candidate[] | null;
  pending: Message<"webrtc.offer"> | null;
  /** The newest offer of the other that came while the one before it was being answered. */
  next: Message<"webrtc.offer"> | null;
  /** Our answer to the newest offer, and whether it is known that it got lost. */
  answer: Message<"webrtc.answer"> | null;
  unanswered: boolean;
  readonly slots: Slot[];
  /** To a kernel: the m-lines for its streams. */
  readonly lines: Lines;
}

export function newLink(epoch: number): Link {
  return {
    epoch,
    phase: "stable",
    agreed: false,
    needsOffer: false,
    held: [],
    found: [],
    pending: null,
    next: null,
    answer: null,
    unanswered: false,
    slots: [],
    lines: new Lines(),
  };
}
