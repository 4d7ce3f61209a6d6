/** The signaling messages (wire protocol v1): types, validating decode, encode; pure, runs in the browser tab.
 *
 * Mirrors `forge_rtc_nb/protocol.py`; `tests/wire/` holds the examples that both must read alike. A field that has
 * its default is absent, here as on the wire, so `encode` is plain JSON.
 */

import { type Channel, channel, checkChannels, MAX_CHANNELS } from "./channel";
import {
  DecodeError,
  type Fields,
  flag,
  integer,
  list,
  number,
  oneOf,
  optional,
  orNull,
  type Reader,
  record,
  required,
  text,
} from "./schema";
import { checkCandidate, checkSdp, MAX_MEDIA_LINES } from "./sdp";

export type { Channel } from "./channel";
export { Close, FINAL_CLOSE_CODES } from "./close";

export const VERSION = 1;
export const MAX_MESSAGE = 64 * 1024;
const MAX_NAME = 64;
const MAX_STREAMS = 32;
const MAX_OWNERS = 16;
/** The limits of data where the welcome names none. */
const DATA_BYTES = 2 ** 30;

export type Kind = "browser" | "kernel";
export type MediaKind = "audio" | "video";
export type Source = "camera" | "microphone" | "screen" | "other";

export interface Stream {
  id: string;
  name: string;
  kind: MediaKind;
  source: Source;
  muted?: boolean;
  /** The m-line that carries it (RFC 8843); only in an offer, and only in that connection. */
  mid?: string;
  started?: number;
  /** Of a kernel's: it gives no pictures at the moment, as the kernel is busy. */
  stalled?: boolean;
}

/** A kernel's stream that the offerer would receive, and the m-line for it. */
export interface Want {
  stream: string;
  mid: string;
}

export interface Participant {
  id: string;
  name: string;
  kind: Kind;
  user: string;
  owners?: string[];
  joined_at?: number;
  state?: "connected" | "reconnecting";
  streams?: Stream[];
  channels?: Channel[];
  /** Holds values of the room's shared mapping. */
  shared?: boolean;
}

export interface Candidate {
  candidate: string;
  sdpMid?: string;
  sdpMLineIndex?: number;
  usernameFragment?: string;
}

export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

export interface Limits {
  message_bytes: number;
  messages_per_second: number;
  burst: number;
  participants: number;
  resume_seconds: number;
  /** In one message of a channel. */
  data_bytes?: number;
  /** In the room's shared mapping altogether. */
  shared_bytes?: number;
}

interface Envelope {
  to?: string;
  from?: string;
  epoch?: number;
  id?: string;
}

export interface Description {
  type: "offer" | "answer";
  sdp: string;
}

interface Bodies {
  "room.hello": {
    version: number;
    kind: Kind;
    name?: string;
    owners?: string[];
    streams?: Stream[];
    channels?: Channel[];
    shared?: boolean;
    ticket?: string;
    resume?: string;
  };
  "room.welcome": {
    version: number;
    room: string;
    participant: Participant;
    participants: Participant[];
    limits: Limits;
    resume: string;
    resumed?: boolean;
    server?: string;
  };
  "room.joined": { participant: Participant };
  "room.left": { participant_id: string; reason?: "left" | "expired" };
  "room.updated": {
    streams?: Stream[];
    owners?: string[];
    channels?: Channel[];
    shared?: boolean;
    participant?: Participant;
  };
  /** `wants`, to a kernel: all of its streams that this connection is to carry to us. */
  "webrtc.offer": { sdp: Description; streams?: Stream[]; wants?: Want[] };
  "webrtc.answer": { sdp: Description };
  /** No candidate says that no more will come (RFC 8838). */
  "webrtc.ice_candidate": { candidate?: Candidate };
  /** Asks for a new offer; `restart` for one on a new RTCPeerConnection. */
  "webrtc.negotiate": { restart?: boolean };
  "stream.subscribe": { stream: string };
  "stream.unsubscribe": { stream: string };
  /** Asks the owner of a stream to switch it off. */
  "stream.mute": { stream: string };
  /** A kernel asks the tab of its notebook for another size or rate; `stream.constrained` answers. */
  "stream.constrain": { stream: string; width?: number; height?: number; fps?: number };
  "stream.constrained": { reply_to: string; width?: number; height?: number; fps?: number; problem?: string };
  "ice.request": object;
  "ice.servers": { servers: IceServer[] };
  ping: object;
  pong: object;
  error: { code: string; message: string; reply_to?: string };
}

export type MessageType = keyof Bodies;
/** One message; `Message<"ping">` for one type of it. */
export type Message<T extends MessageType = MessageType> = {
  [K in T]: { type: K } & Envelope & Bodies[K];
}[T];

type FromClientOnly = "room.hello" | "ice.request";
type FromServerOnly = "room.welcome" | "room.joined" | "room.left" | "ice.servers" | "error";
export type ClientMessage = Message<Exclude<MessageType, FromServerOnly>>;
export type ServerMessage = Message<Exclude<MessageType, FromClientOnly>>;
/** What a participant sends to another one through the server. */
const ROUTED_TYPES = [
  "webrtc.offer",
  "webrtc.answer",
  "webrtc.ice_candidate",
  "webrtc.negotiate",
  "stream.subscribe",
  "stream.unsubscribe",
  "stream.mute",
  "stream.constrain",
  "stream.constrained",
] as const;
export type RoutedType = (typeof ROUTED_TYPES)[number];
export type RoutedMessage = Message<RoutedType>;

const CLIENT_ONLY: ReadonlySet<string> = new Set<FromClientOnly>(["room.hello", "ice.request"]);
const SERVER_ONLY: ReadonlySet<string> = new Set<FromServerOnly>([
  "room.welcome",
  "room.joined",
  "room.left",
  "ice.servers",
  "error",
]);
const ROUTED: ReadonlySet<string> = new Set(ROUTED_TYPES);

export function isRouted(message: Message): message is RoutedMessage {
  return ROUTED.has(message.type);
}

const id = text({ min: 1, max: 64, pattern: /^[A-Za-z0-9._-]+$/ });
const short = text({ max: 256 });
const secret = text({ max: 4096 });
const anyText = text({});
const kind = oneOf<Kind>("browser", "kernel");
const side = integer(1, 16384);
const rate = integer(1, 240);

const stream = record<Stream>({
  id: required(id),
  name: required(text({ max: MAX_NAME })),
  kind: required(oneOf<MediaKind>("audio", "video")),
  source: required(oneOf<Source>("camera", "microphone", "screen", "other")),
  muted: optional(flag, false),
  mid: orNull(text({ max: 32 })),
  started: optional(number, 0),
  stalled: optional(flag, false),
});

const want = record<Want>({ stream: required(id), mid: required(text({ min: 1, max: 32 })) });

const participant = record<Participant>({
  id: required(id),
  name: required(anyText),
  kind: required(kind),
  user: required(anyText),
  owners: optional(list(id), []),
  joined_at: optional(number, 0),
  state: optional(oneOf("connected", "reconnecting"), "connected"),
  streams: optional(list(stream), []),
  channels: optional(list(channel), []),
  shared: optional(flag, false),
});

const candidate = record<Candidate>({
  candidate: required(text({ max: 1024 })),
  sdpMid: orNull(short),
  sdpMLineIndex: orNull(integer(0, MAX_MEDIA_LINES - 1)),
  usernameFragment: orNull(short),
});

const iceServer = record<IceServer>({
  urls: required(list(anyText)),
  username: orNull(anyText),
  credential: orNull(anyText),
});

const limits = record<Limits>({
  message_bytes: required(integer()),
  messages_per_second: required(number),
  burst: required(integer()),
  participants: required(integer()),
  resume_seconds: required(number),
  data_bytes: optional(integer(), DATA_BYTES),
  shared_bytes: optional(integer(), DATA_BYTES),
});

const description = record<Description>({
  type: required(oneOf("offer", "answer")),
  sdp: required(anyText),
});
const streams = list(stream, MAX_STREAMS);
const owners = list(id, MAX_OWNERS);
const channels = list(channel, MAX_CHANNELS);

const BODIES: { [K in MessageType]: Fields<Bodies[K]> } = {
  "room.hello": {
    version: required(integer()),
    kind: required(kind),
    name: orNull(short),
    owners: optional(owners, []),
    streams: optional(streams, []),
    channels: optional(channels, []),
    shared: optional(flag, false),
    ticket: orNull(secret),
    resume: orNull(secret),
  },
  "room.welcome": {
    version: required(integer()),
    room: required(anyText),
    participant: required(participant),
    participants: required(list(participant)),
    limits: required(limits),
    resume: required(anyText),
    resumed: optional(flag, false),
    server: optional(short, ""),
  },
  "room.joined": { participant: required(participant) },
  "room.left": {
    participant_id: required(id),
    reason: optional(oneOf("left", "expired"), "left"),
  },
  "room.updated": {
    streams: orNull(streams),
    owners: orNull(owners),
    channels: orNull(channels),
    shared: orNull(flag),
    participant: orNull(participant),
  },
  "webrtc.offer": {
    sdp: required(description),
    streams: optional(streams, []),
    wants: optional(list(want, MAX_MEDIA_LINES), []),
  },
  "webrtc.answer": { sdp: required(description) },
  "webrtc.ice_candidate": { candidate: orNull(candidate) },
  "webrtc.negotiate": { restart: optional(flag, false) },
  "stream.subscribe": { stream: required(id) },
  "stream.unsubscribe": { stream: required(id) },
  "stream.mute": { stream: required(id) },
  "stream.constrain": { stream: required(id), width: orNull(side), height: orNull(side), fps: orNull(rate) },
  "stream.constrained": {
    reply_to: required(short),
    width: optional(integer(0, 16384), 0),
    height: optional(integer(0, 16384), 0),
    fps: optional(integer(0, 240), 0),
    problem: orNull(text({ max: 1024 })),
  },
  "ice.request": {},
  "ice.servers": { servers: required(list(iceServer)) },
  ping: {},
  pong: {},
  error: { code: required(anyText), message: required(anyText), reply_to: orNull(anyText) },
};

const ENVELOPE: Fields<Envelope> = {
  to: orNull(id),
  from: orNull(id),
  epoch: orNull(integer(0, 2 ** 53)),
  id: orNull(short),
};

const READERS = new Map<string, Reader<object>>(
  Object.entries(BODIES).map(([type, fields]) => [
    type,
    record<object>({ type: required(oneOf(type)), ...ENVELOPE, ...fields } as Fields<object>),
  ]),
);

export function encode(message: ClientMessage | ServerMessage): string {
  return JSON.stringify(message);
}

/** Read and validate what the server sent, or throw a `DecodeError`. */
export function decodeServer(frame: string): ServerMessage {
  return decode(frame, CLIENT_ONLY) as ServerMessage;
}

/** Read what a client sent, as the server does: for tests and for hubs written in JavaScript. */
export function decodeClient(frame: string): ClientMessage {
  return decode(frame, SERVER_ONLY) as ClientMessage;
}

function decode(frame: string, excluded: ReadonlySet<string>): Message {
  if (new TextEncoder().encode(frame).length > MAX_MESSAGE) {
    throw new DecodeError(`a signaling message may have ${MAX_MESSAGE} bytes`);
  }
  const value = parse(frame);
  const type = typeof value === "object" && value !== null && "type" in value ? value.type : undefined;
  const reader = typeof type === "string" && !excluded.has(type) ? READERS.get(type) : undefined;
  if (!reader) throw new DecodeError(`not a signaling message: type ${String(type).slice(0, 64)}`);
  const message = reader(value, "") as Message;
  validate(message);
  return message;
}

function parse(frame: string): unknown {
  try {
    return JSON.parse(frame);
  } catch {
    throw new DecodeError("not JSON");
  }
}

function validate(message: Message): void {
  if (isRouted(message) && message.to === undefined && message.from === undefined) {
    throw new DecodeError("this message needs 'to', the id of a participant");
  }
  if (message.type === "webrtc.offer" || message.type === "webrtc.answer") {
    if (`webrtc.${message.sdp.type}` !== message.type) {
      throw new DecodeError(`sdp.type is ${message.sdp.type} in a message of another type`, "invalid-sdp");
    }
    checkSdp(message.sdp.sdp);
  } else if (message.type === "webrtc.ice_candidate" && message.candidate) {
    checkCandidate(message.candidate.candidate);
  } else if (message.type === "room.hello" || message.type === "room.updated") {
    // Not in a record of others: whether a character exists depends on the Unicode version of whoever asks.
    checkChannels(message.channels ?? []);
  }
}
