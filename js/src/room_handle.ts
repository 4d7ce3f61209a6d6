/** A room as a page's author holds it: who is there, their videos, and channels; runs in the browser tab. */

import type { Channel } from "./data/channel";
import { TypedEvents } from "./data/typed_events";
import { notInRoom, type RoomError, roomFailure } from "./errors";
import type { ChannelOptions } from "./open_channels";
import type { Participant as ParticipantRecord, Source } from "./protocol";
import type { Session } from "./session";
import { Showing } from "./showing";

/** One browser tab, page or kernel in a room, as it was when you asked. */
export interface Participant {
  readonly id: string;
  /** Unique in the room: the server appends " (2)". */
  readonly name: string;
  readonly kind: "browser" | "kernel";
  /** Groups one person's kernels and tabs. */
  readonly user: string;
  /** Unix seconds. */
  readonly joinedAt: number;
  /** "reconnecting": its signaling is lost, and may come back. */
  readonly state: "connected" | "reconnecting";
  readonly streams: readonly StreamInfo[];
  /** The names of the channels that it has open. */
  readonly channels: readonly string[];
}

export interface StreamInfo {
  readonly id: string;
  readonly name: string;
  readonly kind: "audio" | "video";
  readonly source: Source;
}

/** "closed": the server ended it. */
export type RoomState = "joined" | "reconnecting" | "left" | "closed";

export interface RoomEvents {
  joined: CustomEvent<Participant>;
  left: CustomEvent<Participant>;
  updated: CustomEvent<Participant>;
  state: CustomEvent<{ state: RoomState; error: RoomError | null }>;
}

/** Events: "joined", "left" and "updated" with the participant as `detail`, "state" with `{ state, error }`. */
export class RoomHandle extends TypedEvents<RoomEvents> {
  readonly id: string;
  readonly #session: Session;
  readonly #abort = new AbortController();
  readonly #shown = new Map<HTMLVideoElement, Showing>();
  /** Those whose coming was told. */
  #people: ReadonlyMap<string, ParticipantRecord>;
  #state: RoomState = "joined";

  /** `session` is in the room, and nobody else's; `signal` leaves it. */
  constructor(session: Session, signal?: AbortSignal) {
    super();
    this.id = session.room;
    this.#session = session;
    this.#people = this.#others();
    const over = { signal: this.#abort.signal };
    session.addEventListener("change", () => this.#update(), over);
    signal?.addEventListener("abort", () => this.leave(), over);
    if (signal?.aborted) this.leave();
  }

  get state(): RoomState {
    return this.#state;
  }

  /** This page, as the others see it. */
  get me(): Participant {
    return { ...participantOf(this.#record()), channels: this.#session.channels };
  }

  /** Everybody in the room, this page first. */
  get participants(): Participant[] {
    return [this.me, ...this.#session.others.map(participantOf)];
  }

  /** Open a channel: who else opens one of this name, page or notebook, gets what is sent on it. Errors: `RTCError`. */
  channel(name: string, options: ChannelOptions = {}): Promise<Channel> {
    return this.#session.openChannel(name, options);
  }

  /** Show somebody's video in your element, until the returned function is called or the room is left.
   *
   * `who` is an id, a name, or a user, matched in that order; without `stream` (its id or name) it is the camera, else the only
   * video. It need not be there yet, and may go and come.
   */
  show(video: HTMLVideoElement, who: string, stream?: string): () => void {
    this.#record();
    this.#shown.get(video)?.stop();
    const showing = new Showing(this.#session, video, { who, stream });
    this.#shown.set(video, showing);
    return () => {
      showing.stop();
      if (this.#shown.get(video) === showing) this.#shown.delete(video);
    };
  }

  /** Leave the room: its channels are closed, its videos stop. Doing it twice is harmless. */
  leave(): void {
    this.#end("left", null);
  }

  #record(): ParticipantRecord {
    const { me } = this.#session;
    if (!me || this.#abort.signal.aborted) throw notInRoom(`room ${this.id} was left: join it again`);
    return me;
  }

  #others(): Map<string, ParticipantRecord> {
    return new Map(this.#session.others.map((record) => [record.id, record]));
  }

  #update(): void {
    const { status, failure } = this.#session;
    if (status === "left" || status === "error") {
      this.#end(failure ? "closed" : "left", failure && roomFailure(failure)); // without: the page went away
      return;
    }
    this.#tellPeople();
    this.#setState(status === "joined" ? "joined" : "reconnecting", null);
  }

  #tellPeople(): void {
    const before = this.#people;
    this.#people = this.#others();
    for (const [id, person] of before) if (!this.#people.has(id)) this.#tell("left", participantOf(person));
    for (const [id, person] of this.#people) {
      const known = before.get(id);
      if (!known) this.#tell("joined", participantOf(person));
      else if (!isSame(known, person)) this.#tell("updated", participantOf(person));
    }
  }

  #end(state: RoomState, error: RoomError | null): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    for (const showing of this.#shown.values()) showing.stop();
    this.#shown.clear();
    this.#session.lifetime.finish();
    this.#setState(state, error);
  }

  #setState(state: RoomState, error: RoomError | null): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#tell("state", { state, error });
  }

  #tell(type: keyof RoomEvents, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** A record that is told again, as after a reconnect, is another object. */
function isSame(one: ParticipantRecord, other: ParticipantRecord): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

function participantOf(record: ParticipantRecord): Participant {
  const { id, name, kind, user, joined_at = 0, state = "connected", streams = [], channels = [] } = record;
  return {
    id,
    name,
    kind,
    user,
    joinedAt: joined_at,
    state,
    streams: streams.map(({ id, name, kind, source }) => ({ id, name, kind, source })),
    channels: channels.map(({ name }) => name),
  };
}
