/** One other participant: carries out the negotiation on real connections, one after the other; runs in the browser tab. */

import { backoff } from "./backoff";
import { Connection } from "./connection";
import { DataLink } from "./data/data_link";
import { Inbox } from "./inbox";
import { type Action, type Input, Negotiation, type PairMessage } from "./negotiation";
import type { IceServer, Kind, MediaKind, RoutedMessage, Stream } from "./protocol";
import { Repeats } from "./repeats";

const RETRY_FIRST = 500;
const RETRY_MOST = 8_000;

export interface PeerOptions {
  me: string;
  id: string;
  kind: Kind;
  /** False for what the server would refuse. */
  send(message: RoutedMessage): boolean;
  iceServers(): Promise<IceServer[]>;
  /** The live track of one of our streams. */
  track(stream: string): MediaStreamTrack | null;
  /** A stream of the other arrives on `track`. */
  received(stream: string, track: MediaStreamTrack): void;
  changed(): void;
  /** A data channel of the other's was closed, as something was wrong with it. */
  fault(label: string, why: string): void;
}

/** "idle": no connection is needed. */
export type PeerState = "idle" | "connecting" | "connected" | "reconnecting";

export class Peer {
  /** Their data channels, over whatever connection there is. */
  readonly data: DataLink;
  readonly #options: PeerOptions;
  readonly #negotiation: Negotiation;
  readonly #inbox = new Inbox((message) => this.#input({ is: "message", message }));
  readonly #repeats = new Repeats(() => this.resync());
  #connection: Connection | null = null;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #state: PeerState = "idle";
  #closed = false;
  #sent = 0;
  /** The id of our newest answer. */
  #answer = "";

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#negotiation = new Negotiation(options.me, options.id, options.kind);
    this.data = new DataLink({ fault: (label, why) => options.fault(label, why) });
  }

  get state(): PeerState {
    return this.#state;
  }

  /** The present RTCPeerConnection, for statistics. */
  get pc(): RTCPeerConnection | null {
    return this.#connection?.pc ?? null;
  }

  /** Ask for a stream of the other participant. */
  want(stream: string, kind: MediaKind = "video"): void {
    this.#input({ is: "wanted", stream, kind });
  }

  unwant(stream: string): void {
    this.#input({ is: "unwanted", stream });
  }

  /** Whether the two have data for each other, and so need a connection. */
  need(needed: boolean): void {
    this.#input({ is: "needed", needed });
  }

  /** The other participant asked for a stream of ours. */
  subscribe(stream: Stream): void {
    this.#input({ is: "subscribed", stream });
  }

  unsubscribe(stream: string): void {
    this.#input({ is: "unsubscribed", stream });
  }

  /** A stream of ours was switched off. */
  ended(stream: string): void {
    this.#input({ is: "ended", stream });
  }

  /** A stream of ours got another track (another camera was chosen). */
  retrack(stream: Stream): void {
    if (this.#negotiation.subscriptions.has(stream.id)) this.#input({ is: "subscribed", stream });
  }

  receive(message: PairMessage): void {
    if (!this.#closed) this.#inbox.put(message);
  }

  /** A message of ours did not reach the other, who may be there again soon. */
  refused(id: string): void {
    if (this.#closed) return;
    if (id === this.#answer) this.#input({ is: "unanswered" });
    this.#repeats.refused();
  }

  /** Signaling came back and may have lost messages. */
  resync(): void {
    this.#input({ is: "resync" });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#inbox.close();
    this.#repeats.stop();
    this.#connection?.close();
    this.#connection = null;
    this.data.dispose();
  }

  #input(input: Input): void {
    if (this.#closed) return;
    for (const action of this.#negotiation.handle(input)) this.#run(action);
  }

  #run(action: Action): void {
    switch (action.do) {
      case "create":
        this.#create(action.epoch);
        break;
      case "close":
        this.#connection?.close();
        this.#connection = null;
        this.#setState("idle");
        break;
      case "send":
        this.#send(action.message);
        break;
      case "retry":
        this.#setState("reconnecting");
        clearTimeout(this.#retry);
        this.#retry = setTimeout(() => this.#tryAgain(), backoff(action.attempt, RETRY_FIRST, RETRY_MOST));
        break;
      default:
        this.#connection?.do(action);
    }
  }

  #send(message: RoutedMessage): void {
    const id = `${this.#options.id}/${++this.#sent}`;
    if (message.type === "webrtc.answer") this.#answer = id;
    const sent = this.#options.send({ ...message, id });
    if (sent || (message.type !== "webrtc.offer" && message.type !== "webrtc.answer")) return;
    // A turn later, as the negotiation has more to say about this input.
    const connection = this.#connection;
    queueMicrotask(() => connection?.fail("the server would refuse its description"));
  }

  #tryAgain(): void {
    this.#input({ is: "retry" });
    if (!this.#connection) this.#setState("idle"); // the other is to offer, or nobody wants anything any more
  }

  #create(epoch: number): void {
    clearTimeout(this.#retry);
    this.#setState(this.#state === "reconnecting" ? "reconnecting" : "connecting");
    const { track, received } = this.#options;
    const data = {
      attach: (pc: RTCPeerConnection) => this.data.attach(pc, this.#negotiation.leads),
      detach: () => this.data.detach(),
    };
    this.#connection = new Connection(epoch, this.#options.iceServers(), track, data, {
      offered: (sdp, mids, lines) => this.#input({ is: "offered", epoch, sdp, mids, lines }),
      answered: (sdp) => this.#input({ is: "answered", epoch, sdp }),
      settled: () => this.#input({ is: "settled", epoch }),
      candidate: (candidate) => this.#input({ is: "candidate", epoch, candidate }),
      open: () => {
        this.#setState("connected");
        this.#input({ is: "open", epoch });
      },
      dead: (why) => {
        console.debug(`forge_rtc_nb: connection to ${this.#options.id} ended: ${why}`);
        this.#input({ is: "dead", epoch });
      },
      track: received,
    });
  }

  #setState(state: PeerState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.changed();
  }
}

/** Whom the message of this id was for. */
export function receiverOf(id: string): string {
  return id.slice(0, id.indexOf("/"));
}
