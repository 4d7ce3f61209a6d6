/** The peers of the others in the room, made on demand, and what this tab wants of each; runs in the browser tab. */

import { Peer } from "./peer";
import type { IceServer, Participant, RoutedMessage } from "./protocol";

export interface PeersHost {
  /** This tab's participant id; null before the welcome. */
  me(): string | null;
  /** Somebody else who is in the room. */
  participant(id: string): Participant | undefined;
  /** False for what the server would refuse. */
  send(message: RoutedMessage): boolean;
  iceServers(): Promise<IceServer[]>;
  /** The live track of one of our streams. */
  track(stream: string): MediaStreamTrack | null;
  received(participant: string, stream: string, track: MediaStreamTrack): void;
  changed(): void;
  fault(participant: string, label: string, why: string): void;
}

/** A stream's id, or that there is data to exchange. */
type Want = string | typeof DATA;
const DATA = Symbol("data");

export class Peers {
  readonly #host: PeersHost;
  readonly #peers = new Map<string, Peer>();
  /** How many want it, by participant: wishes outlive peers, since people come and go. */
  readonly #wants = new Map<string, Map<Want, number>>();

  constructor(host: PeersHost) {
    this.#host = host;
  }

  get(id: string): Peer | undefined {
    return this.#peers.get(id);
  }

  /** The peer of somebody who is in the room, made where there is none. */
  reach(id: string): Peer | null {
    const existing = this.#peers.get(id);
    const participant = this.#host.participant(id);
    const me = this.#host.me();
    if (existing || !participant || !me) return existing ?? null;
    const peer = this.#make(me, participant);
    this.#peers.set(id, peer);
    for (const want of this.#wants.get(id)?.keys() ?? []) ask(peer, want, participant);
    return peer;
  }

  /** Ask for a stream until the returned function is called; several may ask for the same one. */
  watch(participant: string, stream: string): () => void {
    return this.#want(participant, stream);
  }

  /** Have a connection for data until the returned function is called; several may need the same one. */
  needData(participant: string): () => void {
    return this.#want(participant, DATA);
  }

  /** Ask whoever is new (or new again) for what is wanted of them. */
  renew(): void {
    for (const id of this.#wants.keys()) this.reach(id);
  }

  each(action: (peer: Peer, id: string) => void): void {
    for (const [id, peer] of this.#peers) action(peer, id);
  }

  close(id: string): void {
    this.#peers.get(id)?.close();
    this.#peers.delete(id);
  }

  clear(): void {
    for (const id of [...this.#peers.keys()]) this.close(id);
  }

  #make(me: string, { id, kind }: Participant): Peer {
    const host = this.#host;
    return new Peer({
      me,
      id,
      kind,
      send: (message) => host.send(message),
      iceServers: () => host.iceServers(),
      track: (stream) => host.track(stream),
      received: (stream, track) => host.received(id, stream, track),
      changed: () => host.changed(),
      fault: (label, why) => host.fault(id, label, why),
    });
  }

  #want(participant: string, want: Want): () => void {
    const wants = this.#wants.get(participant) ?? new Map<Want, number>();
    this.#wants.set(participant, wants);
    const count = wants.get(want) ?? 0;
    wants.set(want, count + 1);
    const peer = this.#peers.get(participant);
    if (!peer) this.reach(participant);
    else if (count === 0) ask(peer, want, this.#host.participant(participant));
    let done = false;
    return () => {
      if (!done) this.#unwant(participant, wants, want);
      done = true;
    };
  }

  #unwant(participant: string, wants: Map<Want, number>, want: Want): void {
    const count = wants.get(want) ?? 0;
    wants.set(want, count - 1);
    if (count > 1) return;
    wants.delete(want);
    if (wants.size === 0) this.#wants.delete(participant);
    const peer = this.#peers.get(participant);
    if (want === DATA) peer?.need(false);
    else peer?.unwant(want);
  }
}

function ask(peer: Peer, want: Want, participant: Participant | undefined): void {
  if (want === DATA) peer.need(true);
  else peer.want(want, participant?.streams?.find(({ id }) => id === want)?.kind);
}
