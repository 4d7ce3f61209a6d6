/** What to do with a pair's RTCPeerConnection, as a pure state machine: inputs in, actions out; no WebRTC in here.
 *
 * A pair (this tab and one other participant) has at most one connection, known by its epoch. To a kernel the browser
 * always offers; between browsers this is perfect negotiation (W3C WebRTC 1.0 section 10.7), the higher participant id
 * being the polite one. Streams flow only to subscribers: each subscribed stream of ours has a slot, which stands for
 * one sendonly transceiver; a kernel's streams come on m-lines that the tab offers, one for each that it wants. Data channels open in band on whatever connection there is: where data is needed and there
 * is none, one side alone makes it, the tab with a kernel and the lower id between browsers.
 */

import { type Link, MAX_FOUND, newLink } from "./link";
import type { Candidate, Kind, MediaKind, Message, RoutedMessage, Stream, Want } from "./protocol";

export type PairMessage = Message<
  "webrtc.offer" | "webrtc.answer" | "webrtc.ice_candidate" | "webrtc.negotiate"
>;

/** The m-lines of an offer (RFC 8843), by the number of their slot or line. */
export type Mids = ReadonlyMap<number, string>;

export type Input =
  /** The other asks for a stream of ours, or does not want it any more. */
  | { is: "subscribed"; stream: Stream }
  | { is: "unsubscribed"; stream: string }
  /** A stream of ours was switched off. */
  | { is: "ended"; stream: string }
  /** We ask for a stream of the other, or do not want it any more. */
  | { is: "wanted"; stream: string; kind?: MediaKind }
  | { is: "unwanted"; stream: string }
  /** Whether the two have data for each other. */
  | { is: "needed"; needed: boolean }
  | { is: "message"; message: PairMessage }
  /** What the connection did: made an offer or answer, took the answer, found a candidate, opened, died. */
  | { is: "offered"; epoch: number; sdp: string; mids: Mids; lines: Mids }
  | { is: "answered"; epoch: number; sdp: string }
  | { is: "settled"; epoch: number }
  | { is: "candidate"; epoch: number; candidate: Candidate }
  | { is: "open"; epoch: number }
  | { is: "dead"; epoch: number }
  /** The wait of `retry` is over. */
  | { is: "retry" }
  /** Our newest answer did not reach the other. */
  | { is: "unanswered" }
  /** Signaling came back, and may have lost what was under way. */
  | { is: "resync" };

export type Action =
  | { do: "create"; epoch: number }
  | { do: "close"; epoch: number }
  | { do: "add"; slot: number; kind: MediaKind; stream: string }
  | { do: "receive"; line: number; kind: MediaKind }
  | { do: "track"; slot: number; stream: string | null }
  | { do: "offer" }
  | { do: "accept-offer"; sdp: string; streams: Stream[] }
  | { do: "accept-answer"; sdp: string; wants: Want[] }
  | { do: "add-candidate"; candidate: Candidate }
  | { do: "send"; message: RoutedMessage }
  | { do: "retry"; attempt: number };

export class Negotiation {
  readonly #other: string;
  readonly #kernel: boolean;
  readonly #polite: boolean;
  readonly #now: () => number;
  readonly #subscribed = new Map<string, Stream>();
  readonly #wanted = new Map<string, MediaKind>();
  #needed = false;
  #link: Link | null = null;
  #highest = 0;
  /** Offers up to this epoch belong to connections that are gone. */
  #floor = 0;
  #attempt = 0;
  #waiting = false;
  #actions: Action[] = [];

  constructor(me: string, other: string, kind: Kind, now: () => number = Date.now) {
    this.#other = other;
    this.#kernel = kind === "kernel";
    this.#polite = me > other;
    this.#now = now;
  }

  /** This side is the one that makes a connection for data, and opens its data channels. */
  get leads(): boolean {
    return this.#kernel || !this.#polite;
  }

  /** The streams the other is subscribed to. */
  get subscriptions(): ReadonlySet<string> {
    return new Set(this.#subscribed.keys());
  }

  handle(input: Input): Action[] {
    this.#actions = [];
    this.#take(input);
    this.#advance();
    return this.#actions;
  }

  #take(input: Input): void {
    switch (input.is) {
      case "subscribed":
        this.#subscribed.set(input.stream.id, input.stream);
        if (this.#link) this.#assign(this.#link, input.stream);
        break;
      case "unsubscribed":
        this.#subscribed.delete(input.stream);
        this.#pause(input.stream, false);
        break;
      case "ended":
        this.#subscribed.delete(input.stream);
        this.#pause(input.stream, true);
        break;
      case "wanted":
        this.#wanted.set(input.stream, input.kind ?? "video");
        this.#send({ type: "stream.subscribe", stream: input.stream });
        break;
      case "unwanted":
        if (this.#wanted.delete(input.stream))
          this.#send({ type: "stream.unsubscribe", stream: input.stream });
        break;
      case "needed":
        this.#needed = input.needed;
        break;
      case "message":
        this.#receive(input.message);
        break;
      case "retry":
        this.#waiting = false;
        if (!this.#link && !this.#offers && this.#awaits) this.#askAnew(this.#floor);
        break;
      case "unanswered":
        if (this.#link?.answer) this.#link.unanswered = true;
        break;
      case "resync":
        this.#resync();
        break;
      default:
        if (this.#link?.epoch === input.epoch) this.#connection(this.#link, input);
    }
  }

  /** Something is to go over a connection that is ours to make. */
  get #offers(): boolean {
    return (
      this.#subscribed.size > 0 || (this.#needed && this.leads) || (this.#kernel && this.#wanted.size > 0)
    );
  }

  /** Something is to come over one that is the other's to make, unless we make one first. */
  get #awaits(): boolean {
    return this.#wanted.size > 0 || this.#needed;
  }

  #connection(link: Link, input: Extract<Input, { epoch: number }>): void {
    switch (input.is) {
      case "offered":
        this.#offered(link, input);
        break;
      case "answered":
        this.#answered(link, input.sdp);
        break;
      case "settled":
        // An offer of the other may have come meanwhile; then the phase is "answering" already.
        if (link.phase === "settling") link.phase = "stable";
        break;
      case "candidate":
        if (link.held) link.held.push(input.candidate);
        else this.#found(link, input.candidate);
        break;
      case "open":
        this.#attempt = 0;
        link.found = null;
        break;
      case "dead":
        this.#died(link);
        break;
    }
  }

  #receive(message: PairMessage): void {
    const link = this.#link;
    switch (message.type) {
      case "webrtc.offer":
        if (!this.#kernel && message.epoch !== undefined) this.#receiveOffer(message, message.epoch);
        break;
      case "webrtc.answer":
        if (link?.epoch === message.epoch && link?.phase === "offered") {
          link.phase = "settling";
          link.agreed = true;
          const wants = link.pending?.wants ?? [];
          link.pending = null;
          this.#actions.push({ do: "accept-answer", sdp: message.sdp.sdp, wants });
        }
        break;
      case "webrtc.ice_candidate":
        if (link?.epoch === message.epoch && message.candidate) {
          this.#actions.push({ do: "add-candidate", candidate: message.candidate });
        }
        break;
      case "webrtc.negotiate":
        if (link && message.epoch !== undefined && message.epoch < link.epoch) break; // about an older connection
        if (link && message.restart) this.#close(link);
        else if (link) link.needsOffer = true;
        this.#waiting = false;
        break;
    }
  }

  #receiveOffer(message: Message<"webrtc.offer">, epoch: number): void {
    const link = this.#link;
    const offering = link?.phase === "offering" || link?.phase === "offered";
    if (!link) {
      if (epoch > this.#floor) this.#answer(this.#create(epoch), message);
    } else if (offering && (epoch === link.epoch || !link.agreed)) {
      // Glare. The impolite side's offer stands; the polite side takes it, on its connection or instead of it.
      if (this.#polite) this.#yield(link, message, epoch);
    } else if (epoch === link.epoch) {
      this.#answer(link, message);
    } else if (epoch > link.epoch) {
      this.#close(link);
      this.#answer(this.#create(epoch), message);
    }
  }

  #yield(link: Link, message: Message<"webrtc.offer">, epoch: number): void {
    if (epoch === link.epoch) {
      link.needsOffer = true; // ours is rolled back by taking theirs, and made again afterwards
      link.pending = null;
      this.#answer(link, message);
    } else {
      this.#actions.push({ do: "close", epoch: link.epoch });
      this.#answer(this.#create(epoch), message);
    }
  }

  #answer(link: Link, message: Message<"webrtc.offer">): void {
    link.answer = null;
    link.unanswered = false;
    if (link.phase === "answering") {
      link.next = message; // one at a time, and of those that wait the newest
      return;
    }
    link.phase = "answering";
    this.#actions.push({ do: "accept-offer", sdp: message.sdp.sdp, streams: message.streams ?? [] });
  }

  #answered(link: Link, sdp: string): void {
    const { next } = link;
    link.phase = "stable";
    link.agreed = true;
    link.next = null;
    if (next) {
      this.#answer(link, next); // who offered anew does not wait for this answer any more
      return;
    }
    link.answer = { type: "webrtc.answer", epoch: link.epoch, sdp: { type: "answer", sdp } };
    this.#send(link.answer);
    this.#release(link);
  }

  #offered(link: Link, { sdp, mids, lines }: { sdp: string; mids: Mids; lines: Mids }): void {
    if (link.phase !== "offering") return; // rolled back meanwhile
    const streams: Stream[] = [];
    for (const [index, { stream }] of link.slots.entries()) {
      const mid = mids.get(index);
      if (stream && mid !== undefined) streams.push({ ...stream, mid });
    }
    link.phase = "offered";
    link.pending = { type: "webrtc.offer", epoch: link.epoch, sdp: { type: "offer", sdp } };
    if (streams.length > 0) link.pending.streams = streams;
    const wants = link.lines.wants(this.#wanted, lines);
    if (wants.length > 0) link.pending.wants = wants;
    this.#send(link.pending);
    this.#release(link);
  }

  #advance(): void {
    if (!this.#link && this.#offers && !this.#waiting) {
      this.#create(Math.max(this.#now(), this.#highest + 1)).needsOffer = true;
    }
    const link = this.#link;
    if (link) this.#fill(link);
    if (link?.needsOffer && link.phase === "stable") {
      link.needsOffer = false;
      link.phase = "offering";
      this.#actions.push({ do: "offer" });
    }
  }

  #create(epoch: number): Link {
    const link = newLink(epoch);
    this.#link = link;
    this.#waiting = false;
    this.#highest = Math.max(this.#highest, epoch);
    this.#actions.push({ do: "create", epoch });
    return link;
  }

  /** Give every subscribed stream its slot, and every wanted one of a kernel its line; after the other's offer was taken, so that m-lines are not mixed up. */
  #fill(link: Link): void {
    for (const stream of this.#subscribed.values()) {
      if (!link.slots.some((slot) => slot.stream?.id === stream.id)) this.#assign(link, stream);
    }
    if (!this.#kernel) return;
    const { added, changed } = link.lines.fill(this.#wanted);
    for (const [line, kind] of added) this.#actions.push({ do: "receive", line, kind });
    if (changed) link.needsOffer = true;
  }

  #assign(link: Link, stream: Stream): void {
    const mine = link.slots.findIndex((slot) => slot.stream?.id === stream.id);
    const free = link.slots.findIndex((slot) => slot.stream === null && slot.kind === stream.kind);
    if (mine >= 0) {
      this.#actions.push({ do: "track", slot: mine, stream: stream.id });
    } else if (free >= 0) {
      link.slots[free] = { kind: stream.kind, stream };
      link.needsOffer = true; // the SDP stays, but the other must learn the new mapping
      this.#actions.push({ do: "track", slot: free, stream: stream.id });
    } else {
      link.slots.push({ kind: stream.kind, stream });
      link.needsOffer = true;
      this.#actions.push({ do: "add", slot: link.slots.length - 1, kind: stream.kind, stream: stream.id });
    }
  }

  /** Stop sending; an ended stream also frees its slot for the next one of its kind. */
  #pause(id: string, free: boolean): void {
    const index = this.#link?.slots.findIndex((slot) => slot.stream?.id === id) ?? -1;
    const slot = this.#link?.slots[index];
    if (!slot) return;
    if (free) slot.stream = null;
    this.#actions.push({ do: "track", slot: index, stream: null });
  }

  #died(link: Link): void {
    this.#close(link);
    if (this.#offers) {
      this.#waiting = true;
      this.#actions.push({ do: "retry", attempt: this.#attempt++ });
    } else if (this.#awaits) {
      // The other is the one to offer; it may not have noticed yet. What dies before it opens would
      // die again at once: then we wait before we ask.
      if (this.#attempt++ === 0) this.#askAnew(link.epoch);
      else this.#actions.push({ do: "retry", attempt: this.#attempt - 2 });
    }
  }

  #askAnew(epoch: number): void {
    this.#send({ type: "webrtc.negotiate", epoch, restart: true });
  }

  #close(link: Link): void {
    this.#floor = Math.max(this.#floor, link.epoch);
    this.#link = null;
    this.#actions.push({ do: "close", epoch: link.epoch });
  }

  #resync(): void {
    for (const stream of this.#wanted.keys()) this.#send({ type: "stream.subscribe", stream });
    const link = this.#link;
    if (!link) return;
    if (link.phase === "offered" && link.pending) this.#send(link.pending);
    // Only an answer that is known to be lost: a second one might be taken for that to the next offer.
    if (link.unanswered && link.answer) this.#send(link.answer);
    link.unanswered = false;
    for (const candidate of link.found ?? []) this.#sendCandidate(link, candidate);
  }

  #release(link: Link): void {
    const held = link.held ?? [];
    link.held = null;
    for (const candidate of held) this.#found(link, candidate);
  }

  #found(link: Link, candidate: Candidate): void {
    if (link.found && link.found.length < MAX_FOUND) link.found.push(candidate);
    this.#sendCandidate(link, candidate);
  }

  #sendCandidate(link: Link, candidate: Candidate): void {
    this.#send({ type: "webrtc.ice_candidate", epoch: link.epoch, candidate });
  }

  #send(message: RoutedMessage): void {
    this.#actions.push({ do: "send", message: { ...message, to: this.#other } });
  }
}
