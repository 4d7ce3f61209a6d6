/** One RTCPeerConnection with its control channel: does what the negotiation says, in order; runs in the browser tab. */

import { Heartbeat } from "./heartbeat";
import type { Action, Mids } from "./negotiation";
import { announcePacketSize } from "./packet_size";
import type { Candidate, MediaKind, Stream, Want } from "./protocol";
import { takeStereo } from "./stereo";

/** Without an open control channel after this long, the attempt has failed. */
const OPEN_WITHIN = 15_000;
/** Enough for a sharp 720p30 picture; Chromium's own default for it is 2.5 Mbit/s. */
const MAX_VIDEO_BITRATE = 4_000_000;

/** What else goes over the connection, and outlives it. */
export interface Passenger {
  /** The connection was made; its first offer comes later. */
  attach(pc: RTCPeerConnection): void;
  detach(): void;
}

export interface ConnectionEvents {
  offered(sdp: string, mids: Mids, lines: Mids): void;
  answered(sdp: string): void;
  settled(): void;
  candidate(candidate: Candidate): void;
  open(): void;
  /** The connection is of no more use: no answer, no heartbeat, or the browser refused a description. */
  dead(why: string): void;
  /** What arrives on the track from now on. */
  track(stream: string, track: MediaStreamTrack): void;
}

type Step = Extract<
  Action,
  { do: "add" | "receive" | "track" | "offer" | "accept-offer" | "accept-answer" | "add-candidate" }
>;

export class Connection {
  readonly epoch: number;
  readonly #on: ConnectionEvents;
  readonly #track: (stream: string) => MediaStreamTrack | null;
  readonly #data: Passenger;
  readonly #slots: RTCRtpTransceiver[] = [];
  readonly #lines: RTCRtpTransceiver[] = [];
  readonly #timeout: ReturnType<typeof setTimeout>;
  #pc: RTCPeerConnection | null = null;
  #heartbeat: Heartbeat | null = null;
  #steps: Promise<void>;
  #closed = false;

  constructor(
    epoch: number,
    iceServers: Promise<RTCIceServer[]>,
    track: (stream: string) => MediaStreamTrack | null,
    data: Passenger,
    events: ConnectionEvents,
  ) {
    this.epoch = epoch;
    this.#track = track;
    this.#data = data;
    this.#on = events;
    this.#timeout = setTimeout(() => this.fail("no connection came about"), OPEN_WITHIN);
    this.#steps = iceServers.then((servers) => this.#open(servers));
  }

  /** The RTCPeerConnection, for statistics; null before the ICE servers are known and after close. */
  get pc(): RTCPeerConnection | null {
    return this.#pc;
  }

  /** Queue a step; steps run one after the other, as the order of offers and answers matters. */
  do(step: Step): void {
    this.#steps = this.#steps
      .then(() => (this.#closed || !this.#pc ? undefined : this.#run(step, this.#pc)))
      .catch((error: unknown) => this.fail(`${step.do}: ${String(error)}`));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timeout);
    this.#heartbeat?.stop();
    const pc = this.#pc;
    this.#pc = null;
    if (!pc) return;
    pc.onicecandidate = null;
    this.#data.detach();
    pc.close();
  }

  /** It is of no more use: close it, and say so. */
  fail(why: string): void {
    if (this.#closed) return;
    this.close();
    this.#on.dead(why);
  }

  #open(servers: RTCIceServer[]): void {
    if (this.#closed) return;
    const pc = createPeerConnection(servers);
    this.#pc = pc;
    pc.onicecandidate = ({ candidate }) => {
      if (candidate && candidate.candidate !== "" && !this.#closed) this.#on.candidate(toWire(candidate));
    };
    this.#openControl(pc.createDataChannel("control", { negotiated: true, id: 0, ordered: true }));
    this.#data.attach(pc);
  }

  #openControl(channel: RTCDataChannel): void {
    channel.onopen = () => {
      clearTimeout(this.#timeout);
      this.#heartbeat = new Heartbeat(channel, () => this.fail("the other side stopped answering"));
      this.#on.open();
    };
    channel.onmessage = (event: MessageEvent<unknown>) => this.#heartbeat?.receive(event.data);
    channel.onclose = () => this.fail("the other side closed the connection");
  }

  #run(step: Step, pc: RTCPeerConnection): Promise<void> | void {
    switch (step.do) {
      case "add":
        return this.#add(pc, step.slot, step.kind, step.stream);
      case "receive":
        this.#lines[step.line] = pc.addTransceiver(step.kind, { direction: "recvonly" });
        return;
      case "track":
        return this.#slots[step.slot]?.sender.replaceTrack(step.stream ? this.#track(step.stream) : null);
      case "offer":
        return this.#offer(pc);
      case "accept-offer":
        return this.#acceptOffer(pc, step.sdp, step.streams);
      case "accept-answer":
        return this.#acceptAnswer(pc, step.sdp, step.wants);
      case "add-candidate":
        // One that the browser cannot use (of an ignored offer, or malformed) costs a path, not the connection.
        return pc.addIceCandidate(step.candidate).catch(() => undefined);
    }
  }

  async #add(pc: RTCPeerConnection, slot: number, kind: MediaKind, stream: string): Promise<void> {
    const encoding: RTCRtpEncodingParameters = kind === "video" ? { maxBitrate: MAX_VIDEO_BITRATE } : {};
    const transceiver = pc.addTransceiver(this.#track(stream) ?? kind, {
      direction: "sendonly",
      sendEncodings: [encoding],
    });
    this.#slots[slot] = transceiver;
    if (kind === "video") await keepResolution(transceiver.sender);
  }

  async #offer(pc: RTCPeerConnection): Promise<void> {
    const hears = this.#lines.some(({ receiver }) => receiver.track.kind === "audio");
    await (hears ? describeStereo(pc) : pc.setLocalDescription());
    const description = pc.localDescription;
    if (this.#closed || description?.type !== "offer") return;
    this.#on.offered(
      announcePacketSize(description.sdp, navigator.userAgent),
      midsOf(this.#slots),
      midsOf(this.#lines),
    );
  }

  async #acceptOffer(pc: RTCPeerConnection, sdp: string, streams: Stream[]): Promise<void> {
    await pc.setRemoteDescription({ type: "offer", sdp }); // rolls an offer of ours back, where there is one
    if (this.#closed) return;
    for (const { id, mid } of streams) this.#reportTrack(pc, id, mid);
    await pc.setLocalDescription();
    const answer = pc.localDescription;
    if (!this.#closed && answer) this.#on.answered(answer.sdp);
  }

  async #acceptAnswer(pc: RTCPeerConnection, sdp: string, wants: Want[]): Promise<void> {
    await pc.setRemoteDescription({ type: "answer", sdp });
    if (this.#closed) return;
    for (const { stream, mid } of wants) this.#reportTrack(pc, stream, mid);
    this.#on.settled();
  }

  #reportTrack(pc: RTCPeerConnection, stream: string, line: string | undefined): void {
    const transceiver = pc.getTransceivers().find(({ mid }) => mid === line);
    if (transceiver) this.#on.track(stream, transceiver.receiver.track);
  }
}

async function describeStereo(pc: RTCPeerConnection): Promise<void> {
  const { type, sdp = "" } = await pc.createOffer();
  await pc.setLocalDescription({ type, sdp: takeStereo(sdp) });
}

function midsOf(transceivers: RTCRtpTransceiver[]): Map<number, string> {
  const mids = new Map<number, string>();
  for (const [index, { mid }] of transceivers.entries()) if (mid !== null) mids.set(index, mid);
  return mids;
}

function createPeerConnection(iceServers: RTCIceServer[]): RTCPeerConnection {
  try {
    return new RTCPeerConnection({ iceServers });
  } catch (error) {
    // One malformed entry must not keep people apart who can reach each other without it.
    console.error("forge_rtc_nb: the browser refused the server's ICE servers, going on without:", error);
    return new RTCPeerConnection({ iceServers: [] });
  }
}

/** Arrays of one shape serve computing better than a steady frame rate; where it is scarce, frames are dropped. */
async function keepResolution(sender: RTCRtpSender): Promise<void> {
  const parameters: RTCRtpSendParameters & { degradationPreference?: string } = sender.getParameters();
  parameters.degradationPreference = "maintain-resolution";
  await sender.setParameters(parameters).catch(() => undefined); // only Chromium knows it
}

function toWire(found: RTCIceCandidate): Candidate {
  const candidate: Candidate = { candidate: found.candidate };
  if (found.sdpMid !== null) candidate.sdpMid = found.sdpMid;
  if (found.sdpMLineIndex !== null) candidate.sdpMLineIndex = found.sdpMLineIndex;
  if (found.usernameFragment !== null) candidate.usernameFragment = found.usernameFragment;
  return candidate;
}
