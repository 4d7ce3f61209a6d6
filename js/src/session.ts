/** This tab's one session in a room: signaling, people, connections, devices; runs in the browser tab. */

import { AudioSink } from "./audio";
import type { Failure } from "./failure";
import { Lifetime } from "./lifetime";
import { LocalMedia, type Problem } from "./media";
import { Peer, type PeerState, receiverOf } from "./peer";
import type { Message, Participant, RoutedMessage, ServerMessage, Stream } from "./protocol";
import { RESTART_GRACE, RESUME_GRACE, Roster } from "./roster";
import { type Access, Signaling, type SignalingState } from "./signaling";

export type SessionStatus = "connecting" | "joined" | "reconnecting" | "left" | "error";

/** Session events: "change" (anything a view shows), "end". */
export class Session extends EventTarget {
  readonly room: string;
  readonly lifetime: Lifetime;
  readonly media: LocalMedia;
  readonly audio = new AudioSink(() => this.#changed());
  /** The way to the server; the newest view's is the one that still works. */
  access: Access;
  #me: Participant | null = null;
  #signaling: Signaling;
  #failure: Failure | null = null;
  #problem: Problem | null = null;
  #notified = false;
  readonly #roster = new Roster((id) => this.#gone(id));
  readonly #peers = new Map<string, Peer>();
  /** How many viewers want a stream, by participant and stream id. */
  readonly #wants = new Map<string, Map<string, number>>();
  readonly #arrived = new Map<string, MediaStream>();
  /** Microphones we listen to: what ends the wish for each. */
  readonly #heard = new Map<string, () => void>();
  readonly #ear = new Map<string, boolean>();
  readonly #abort = new AbortController();

  constructor(room: string, access: Access) {
    super();
    this.room = room;
    this.access = access;
    this.lifetime = new Lifetime(
      () => this.#end(),
      () => this.#announce({ owners: this.lifetime.owners }),
    );
    this.media = new LocalMedia({
      changed: () => this.#changed(),
      started: () => this.#announce({ streams: this.media.streams }),
      stopped: (stream) => this.#stopped(stream),
      retracked: ({ info }) => this.#eachPeer((peer) => peer.retrack(info)),
      problem: (problem) => this.report(problem),
    });
    this.#signaling = this.#newSignaling();
    this.#listen();
  }

  get status(): SessionStatus {
    if (this.lifetime.ended) return "left";
    const state = this.#signaling.state;
    if (state !== "closed") return state;
    return this.#failure && this.#failure.code !== "room-deleted" ? "error" : "left";
  }

  /** Why the status is not "joined", where there is a reason. */
  get failure(): Failure | null {
    return this.#failure;
  }

  /** What went wrong with a device, until it is dismissed. */
  get problem(): Problem | null {
    return this.#problem;
  }

  get me(): Participant | null {
    return this.#me;
  }

  get others(): Participant[] {
    return this.#roster.all;
  }

  peerState(id: string): PeerState {
    return this.#peers.get(id)?.state ?? "idle";
  }

  /** The connection to a participant, for statistics. */
  connection(id: string): RTCPeerConnection | null {
    return this.#peers.get(id)?.pc ?? null;
  }

  start(): void {
    this.#signaling.start();
  }

  /** Join again after an error, or after the room was left. */
  rejoin(): void {
    if (this.lifetime.ended || this.#signaling.state !== "closed") return;
    this.#failure = null;
    this.#signaling = this.#newSignaling();
    this.#signaling.start();
    this.#changed();
  }

  report(problem: Problem | null): void {
    this.#problem = problem;
    this.#changed();
  }

  /** Ask for a stream until the returned function is called; several may ask for the same one. */
  watch(participant: string, stream: string): () => void {
    const wants = this.#wants.get(participant) ?? new Map<string, number>();
    this.#wants.set(participant, wants);
    const count = wants.get(stream) ?? 0;
    wants.set(stream, count + 1);
    if (count === 0) this.#peer(participant)?.want(stream);
    let done = false;
    return () => {
      if (done) return;
      done = true;
      this.#unwatch(participant, stream);
    };
  }

  /** The media of a stream, once it arrives. */
  arrived(participant: string, stream: string): MediaStream | null {
    return this.#arrived.get(key(participant, stream)) ?? null;
  }

  /** Whether this tab plays what a participant says: by default not what another tab of the same person does (echo). */
  hears(participant: Participant): boolean {
    return this.#ear.get(participant.id) ?? participant.user !== this.#me?.user;
  }

  setHears(participant: Participant, hears: boolean): void {
    this.#ear.set(participant.id, hears);
    this.#tuneIn();
    this.#changed();
  }

  #newSignaling(): Signaling {
    const access: Access = {
      socketUrl: (room) => this.access.socketUrl(room),
      ticket: (room, force) => this.access.ticket(room, force),
      unreached: () => this.access.unreached?.() ?? null,
    };
    return new Signaling(this.room, access, {
      introduce: () => ({ owners: this.lifetime.owners, streams: this.media.streams }),
      state: (state, failure) => this.#signalingChanged(state, failure),
      welcome: (message) => this.#welcomed(message),
      message: (message) => this.#receive(message),
      refused: (id) => this.#peers.get(receiverOf(id))?.refused(id),
    });
  }

  #listen(): void {
    const { signal } = this.#abort;
    const hurry = () => this.#signaling.hurry();
    addEventListener("pagehide", () => this.lifetime.finish(), { signal });
    addEventListener("online", hurry, { signal });
    document.addEventListener("visibilitychange", hurry, { signal });
  }

  #signalingChanged(state: SignalingState, failure?: Failure): void {
    this.#failure = state === "joined" ? null : (failure ?? null);
    if (state === "closed") {
      this.media.switchAllOff();
      this.#reset();
    }
    this.#changed();
  }

  #welcomed(message: Message<"room.welcome">): void {
    const samePerson = this.#me?.id === message.participant.id;
    if (!samePerson) this.#reset();
    this.#me = message.participant;
    this.#roster.welcome(message.participants, message.resumed ? RESUME_GRACE : RESTART_GRACE);
    if (message.resumed !== true) this.#resync();
    this.#rewatch();
    this.#tuneIn();
    this.#catchUp(message.participant);
    this.#changed();
  }

  /** Say again what may have been lost, to those who are there; to the others when they come. */
  #resync(): void {
    for (const [id, peer] of this.#peers) if (!this.#roster.isMissing(id)) peer.resync();
  }

  /** Tell what changed between the hello and its answer. */
  #catchUp(me: Participant): void {
    const told = (me.streams ?? []).map(({ id }) => id).join();
    if (this.media.streams.map(({ id }) => id).join() !== told)
      this.#announce({ streams: this.media.streams });
    if (this.lifetime.owners.join() !== (me.owners ?? []).join())
      this.#announce({ owners: this.lifetime.owners });
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case "room.joined":
        this.#met(message.participant);
        break;
      case "room.updated":
        if (message.participant) this.#met(message.participant);
        break;
      case "room.left":
        this.#roster.remove(message.participant_id);
        break;
      case "error":
        console.warn(`forge_rtc_nb: the server says: ${message.code}: ${message.message}`);
        break;
      default:
        if (message.from) this.#fromPeer(message.from, message as RoutedMessage);
    }
    this.#changed();
  }

  #met(participant: Participant): void {
    if (participant.id === this.#me?.id) {
      this.#me = participant;
      return;
    }
    const cameBack = this.#roster.put(participant);
    this.#dropEnded(participant);
    if (cameBack) this.#peers.get(participant.id)?.resync();
    this.#rewatch();
    this.#tuneIn();
  }

  #fromPeer(from: string, message: RoutedMessage): void {
    const peer = this.#peer(from);
    if (message.type === "stream.subscribe") {
      const stream = this.media.find(message.stream);
      if (stream) peer?.subscribe(stream.info);
    } else if (message.type === "stream.unsubscribe") {
      peer?.unsubscribe(message.stream);
    } else {
      peer?.receive(message);
    }
  }

  /** The peer of somebody who is in the room, made on demand. */
  #peer(id: string): Peer | null {
    const existing = this.#peers.get(id);
    const participant = this.#roster.get(id);
    if (existing || !participant || !this.#me) return existing ?? null;
    const peer = new Peer({
      me: this.#me.id,
      id,
      kind: participant.kind,
      send: (message) => this.#signaling.send(message),
      iceServers: () => this.#signaling.iceServers(),
      track: (stream) => this.media.find(stream)?.track ?? null,
      received: (stream, track) => this.#received(id, stream, track),
      changed: () => this.#changed(),
    });
    this.#peers.set(id, peer);
    return peer;
  }

  /** Ask somebody new (or new again) for what the views already want of them. */
  #rewatch(): void {
    for (const [id, wants] of this.#wants) {
      if (this.#peers.has(id)) continue;
      for (const stream of wants.keys()) this.#peer(id)?.want(stream);
    }
  }

  #unwatch(participant: string, stream: string): void {
    const wants = this.#wants.get(participant);
    const count = wants?.get(stream) ?? 0;
    if (!wants || count === 0) return;
    if (count > 1) {
      wants.set(stream, count - 1);
      return;
    }
    wants.delete(stream);
    if (wants.size === 0) this.#wants.delete(participant);
    this.#peers.get(participant)?.unwant(stream);
  }

  #received(participant: string, stream: Stream, track: MediaStreamTrack): void {
    const id = key(participant, stream.id);
    if (this.#arrived.get(id)?.getTracks()[0] === track) return;
    this.#arrived.set(id, new MediaStream([track]));
    if (this.#heard.has(id)) this.#play(id);
    this.#changed();
  }

  #dropEnded(participant: Participant): void {
    const live = new Set(participant.streams?.map(({ id }) => key(participant.id, id)));
    for (const id of this.#arrived.keys()) {
      if (id.startsWith(`${participant.id}/`) && !live.has(id)) this.#arrived.delete(id);
    }
  }

  /** Listen to every microphone that is to be heard, and to no other. */
  #tuneIn(): void {
    const audible = new Set<string>();
    for (const person of this.#roster.all) {
      if (person.kind !== "browser" || !this.hears(person)) continue;
      for (const stream of person.streams ?? []) {
        if (stream.kind !== "audio") continue;
        const id = key(person.id, stream.id);
        audible.add(id);
        if (!this.#heard.has(id)) this.#heard.set(id, this.watch(person.id, stream.id));
        this.#play(id);
      }
    }
    for (const [id, stop] of this.#heard) {
      if (audible.has(id)) continue;
      this.#heard.delete(id);
      this.audio.stop(id);
      stop();
    }
  }

  #play(id: string): void {
    const stream = this.#arrived.get(id);
    if (stream) this.audio.play(id, stream);
  }

  #stopped(stream: Stream): void {
    this.#eachPeer((peer) => peer.ended(stream.id));
    this.#announce({ streams: this.media.streams });
  }

  /** Tell the others what changed; before the welcome there is no need to, the hello says it. */
  #announce(change: { streams?: Stream[]; owners?: string[] }): void {
    if (this.#signaling.state === "joined") this.#signaling.send({ type: "room.updated", ...change });
  }

  #gone(id: string): void {
    this.#peers.get(id)?.close();
    this.#peers.delete(id);
    this.#signaling.forget(id);
    this.#ear.delete(id);
    for (const arrived of this.#arrived.keys())
      if (arrived.startsWith(`${id}/`)) this.#arrived.delete(arrived);
    this.#tuneIn();
    this.#changed();
  }

  #reset(): void {
    this.#roster.clear();
    this.#eachPeer((peer) => peer.close());
    this.#peers.clear();
    this.#arrived.clear();
    this.#tuneIn();
  }

  #end(): void {
    this.#abort.abort();
    this.media.close();
    this.#signaling.close();
    this.#reset();
    this.audio.close();
    this.dispatchEvent(new Event("end"));
    this.#changed();
  }

  #eachPeer(action: (peer: Peer) => void): void {
    for (const peer of this.#peers.values()) action(peer);
  }

  /** One event for all the changes of a turn. */
  #changed(): void {
    if (this.#notified) return;
    this.#notified = true;
    queueMicrotask(() => {
      this.#notified = false;
      this.dispatchEvent(new Event("change"));
    });
  }
}

function key(participant: string, stream: string): string {
  return `${participant}/${stream}`;
}
