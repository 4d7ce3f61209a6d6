/** This tab's one session in a room: signaling, people, connections, devices; runs in the browser tab. */

import { Arrivals } from "./arrivals";
import { AudioSink } from "./audio";
import type { Channel } from "./data/channel";
import { notInRoom } from "./errors";
import type { Failure } from "./failure";
import { Hearing, type Listener } from "./hearing";
import { Lifetime } from "./lifetime";
import { LocalMedia, type Problem } from "./media";
import { type ChannelOptions, isAnnouncement, OpenChannels } from "./open_channels";
import { Overview } from "./overview";
import { type PeerState, receiverOf } from "./peer";
import { Peers } from "./peers";
import type { Message, Participant, RoutedMessage, ServerMessage, Stream } from "./protocol";
import { Requests } from "./requests";
import { RESTART_GRACE, RESUME_GRACE, Roster } from "./roster";
import { type Access, type Introduction, Signaling, type SignalingState } from "./signaling";

export type SessionStatus = "connecting" | "joined" | "reconnecting" | "left" | "error";

export interface SessionOptions {
  /** What the others are to call this participant; the server's choice where it is absent. */
  name?: string;
  /** Play no microphones: somebody else in this page does, or nobody asked for it. */
  deaf?: boolean;
}

/** Session events: "change" (anything a view shows), "end". */
export class Session extends EventTarget {
  readonly room: string;
  readonly lifetime: Lifetime;
  readonly media: LocalMedia;
  readonly audio = new AudioSink(() => this.#changed());
  /** The way to the server; the newest view's is the one that still works. */
  access: Access;
  readonly #options: SessionOptions;
  #me: Participant | null = null;
  #signaling: Signaling;
  #failure: Failure | null = null;
  #problem: Problem | null = null;
  /** Bytes that a message of a channel may have. */
  #limit: number | undefined;
  #notified = false;
  readonly #roster = new Roster((id) => this.#gone(id));
  readonly #arrivals = new Arrivals();
  readonly #peers = new Peers({
    me: () => this.#me?.id ?? null,
    participant: (id) => this.#roster.get(id),
    send: (message) => this.#signaling.send(message),
    iceServers: () => this.#signaling.iceServers(),
    track: (stream) => this.media.find(stream)?.track ?? null,
    received: (participant, stream, track) => this.#received(participant, stream, track),
    changed: () => this.#changed(),
    fault: (participant, label, why) => this.#faulty(participant, label, why),
  });
  readonly #channels = new OpenChannels({
    joined: () => this.#signaling.state === "joined",
    send: (message) => this.#signaling.send(message),
    others: () => this.#roster.all,
    link: (participant) => this.#peers.reach(participant)?.data ?? null,
    needData: (participant) => this.needData(participant),
    limit: () => this.#limit,
  });
  /** What the kernels tell of their data. */
  readonly overview = new Overview({
    others: () => this.#roster.all,
    link: (participant) => this.#peers.reach(participant)?.data ?? null,
    needData: (participant) => this.needData(participant),
  });
  readonly #requests: Requests;
  readonly #hearing = new Hearing(this.audio, {
    watch: (participant, stream) => this.watch(participant, stream),
    arrived: (participant, stream) => this.arrived(participant, stream),
  });
  readonly #abort = new AbortController();

  constructor(room: string, access: Access, options: SessionOptions = {}) {
    super();
    this.room = room;
    this.access = access;
    this.#options = options;
    this.lifetime = new Lifetime(
      () => this.#end(),
      () => {
        this.#announce({ owners: this.lifetime.owners });
        this.#tuneIn();
      },
    );
    this.media = new LocalMedia({
      changed: () => this.#changed(),
      started: () => this.#announce({ streams: this.media.streams }),
      stopped: (stream) => this.#stopped(stream),
      retracked: ({ info }) => this.#peers.each((peer) => peer.retrack(info)),
      problem: (problem) => this.report(problem),
    });
    this.#requests = new Requests({
      media: this.media,
      owners: () => this.lifetime.owners,
      name: (participant) => this.#roster.get(participant)?.name ?? "Somebody",
      send: (message) => this.#signaling.send(message),
      report: (problem) => this.report(problem),
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
    return this.#peers.watch(participant, stream);
  }

  /** The media of a stream, once it arrives. */
  arrived(participant: string, stream: string): MediaStream | null {
    return this.#arrivals.get(participant, stream);
  }

  /** Have a connection for data with a participant until the returned function is called. */
  needData(participant: string): () => void {
    return this.#peers.needData(participant);
  }

  /** Open a channel; the promise is kept when the server has told the others. Errors: `RoomError`. */
  async openChannel(name: string, options: ChannelOptions = {}): Promise<Channel> {
    if (this.#signaling.state === "closed") throw notInRoom(`room ${this.room} was left: join it again`);
    return this.#channels.open(name, options);
  }

  /** The names of the channels that are open. */
  get channels(): string[] {
    return this.#channels.names;
  }

  /** Whether this tab plays what a participant says. */
  hears(participant: Participant): boolean {
    return this.#hearing.hears(participant, this.#listener, this.#roster.all);
  }

  setHears(participant: Participant, hears: boolean): void {
    this.#hearing.choose(participant.id, hears);
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
      introduce: () => this.#introduce(),
      state: (state, failure) => this.#signalingChanged(state, failure),
      welcome: (message) => this.#welcomed(message),
      message: (message) => this.#receive(message),
      refused: (id) => this.#refused(id),
    });
  }

  #introduce(): Introduction {
    const { name } = this.#options;
    const channels = this.#channels.introduce();
    const { owners } = this.lifetime;
    return { ...(name !== undefined && { name }), owners, streams: this.media.streams, channels };
  }

  /** A message of ours was not passed on. */
  #refused(id: string): void {
    if (isAnnouncement(id)) this.#channels.lost();
    else this.#peers.get(receiverOf(id))?.refused(id);
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
      this.#channels.end(failure ?? null);
      this.#reset();
    }
    this.#changed();
  }

  #welcomed(message: Message<"room.welcome">): void {
    const samePerson = this.#me?.id === message.participant.id;
    if (!samePerson) this.#reset();
    this.#me = message.participant;
    this.#limit = message.limits.data_bytes;
    this.#roster.welcome(message.participants, message.resumed ? RESUME_GRACE : RESTART_GRACE);
    if (message.resumed !== true) this.#resync();
    this.#peers.renew();
    this.#tuneIn();
    this.#catchUp(message.participant);
    this.#channels.welcomed(message.participant);
    this.overview.refresh();
    this.#changed();
  }

  /** Say again what may have been lost, to those who are there; to the others when they come. */
  #resync(): void {
    this.#peers.each((peer, id) => {
      if (!this.#roster.isMissing(id)) peer.resync();
    });
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
      case "pong":
        this.#channels.answered(message.id);
        break;
      case "error":
        if (!this.#channels.refused(message))
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
    this.#arrivals.dropEnded(participant);
    if (cameBack) this.#peers.get(participant.id)?.resync();
    this.#peers.renew();
    this.#channels.met(participant);
    this.overview.refresh();
    this.#tuneIn();
  }

  #fromPeer(from: string, message: RoutedMessage): void {
    if (message.type === "stream.mute" || message.type === "stream.constrain") {
      this.#requests.receive(from, message);
      return;
    }
    if (message.type === "stream.constrained") return; // only kernels ask
    const peer = this.#peers.reach(from);
    if (message.type === "stream.subscribe") {
      const stream = this.media.find(message.stream);
      if (stream) peer?.subscribe(stream.info);
    } else if (message.type === "stream.unsubscribe") {
      peer?.unsubscribe(message.stream);
    } else {
      peer?.receive(message);
    }
  }

  #received(participant: string, stream: string, track: MediaStreamTrack): void {
    if (!this.#arrivals.put(participant, stream, track)) return;
    this.#hearing.arrived(participant, stream);
    this.#changed();
  }

  #faulty(participant: string, label: string, why: string): void {
    console.warn(`forge_rtc_nb: closed data channel ${label} with ${participant}: ${why}`);
    this.#channels.fault(participant, label, why);
  }

  #tuneIn(): void {
    if (this.#options.deaf !== true) this.#hearing.tuneIn(this.#roster.all, this.#listener);
  }

  get #listener(): Listener {
    return { user: this.#me?.user, owners: this.lifetime.owners };
  }

  #stopped(stream: Stream): void {
    this.#peers.each((peer) => peer.ended(stream.id));
    this.#announce({ streams: this.media.streams });
  }

  /** Tell the others what changed; before the welcome there is no need to, the hello says it. */
  #announce(change: { streams?: Stream[]; owners?: string[] }): void {
    if (this.#signaling.state === "joined") this.#signaling.send({ type: "room.updated", ...change });
  }

  #gone(id: string): void {
    this.#channels.gone(id);
    this.overview.refresh();
    this.#peers.close(id);
    this.#signaling.forget(id);
    this.#hearing.forget(id);
    this.#arrivals.forget(id);
    this.#tuneIn();
    this.#changed();
  }

  #reset(): void {
    this.#roster.clear();
    this.#peers.clear();
    this.#tuneIn();
  }

  #end(): void {
    this.#abort.abort();
    this.media.close();
    this.#signaling.close();
    this.#reset();
    this.overview.end();
    this.audio.close();
    this.dispatchEvent(new Event("end"));
    this.#changed();
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
