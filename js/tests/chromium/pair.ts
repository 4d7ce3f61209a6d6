/** Two peers in one page, joined by an in-memory signaling path that a test can cut. */

import { expect } from "vitest";
import type { PairMessage } from "../../src/negotiation";
import { Peer } from "../../src/peer";
import type { Kind, RoutedMessage, Stream } from "../../src/protocol";

export interface End {
  readonly id: string;
  readonly peer: Peer;
  /** What this end sends to whoever subscribes. */
  readonly streams: Map<string, { info: Stream; track: MediaStreamTrack }>;
  /** What arrived at this end, by stream id. */
  readonly received: Map<string, MediaStreamTrack>;
  readonly sent: RoutedMessage[];
  /** Data channels that were closed for what the other did. */
  readonly faults: string[];
  publish(source: "camera" | "microphone", track: MediaStreamTrack): Stream;
}

export class Pair {
  readonly a: End;
  readonly b: End;
  /** While false, messages are lost. */
  connected = true;
  #closed = false;

  constructor(kinds: { a?: Kind; b?: Kind } = {}) {
    this.a = this.#end("a", "b", kinds.b ?? "browser", () => this.b);
    this.b = this.#end("b", "a", kinds.a ?? "browser", () => this.a);
  }

  close(): void {
    this.#closed = true;
    for (const end of [this.a, this.b]) {
      end.peer.close();
      for (const { track } of end.streams.values()) track.stop();
    }
  }

  #end(id: string, other: string, kind: Kind, partner: () => End): End {
    const streams = new Map<string, { info: Stream; track: MediaStreamTrack }>();
    const received = new Map<string, MediaStreamTrack>();
    const sent: RoutedMessage[] = [];
    const faults: string[] = [];
    const peer = new Peer({
      me: id,
      id: other,
      kind,
      send: (message) => {
        sent.push(message);
        // A turn later, as on a network.
        setTimeout(() => this.connected && !this.#closed && deliver(message, partner()));
        return true;
      },
      iceServers: async () => [],
      track: (stream) => streams.get(stream)?.track ?? null,
      received: (stream, track) => received.set(stream, track),
      changed: () => undefined,
      fault: (label, why) => faults.push(`${label}: ${why}`),
    });
    const publish = (source: "camera" | "microphone", track: MediaStreamTrack): Stream => {
      const name = `${source}-${id}${streams.size}`;
      const info: Stream = { id: name, name, kind: track.kind as Stream["kind"], source };
      streams.set(info.id, { info, track });
      return info;
    };
    return { id, peer, streams, received, sent, faults, publish };
  }
}

function deliver(message: RoutedMessage, to: End): void {
  if (message.type === "stream.subscribe") {
    const stream = to.streams.get(message.stream);
    if (stream) to.peer.subscribe(stream.info);
  } else if (message.type === "stream.unsubscribe") {
    to.peer.unsubscribe(message.stream);
  } else {
    to.peer.receive(message as PairMessage);
  }
}

/** A moving picture in one colour. */
export function paint(colour: string, width = 320, height = 180): MediaStreamTrack {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const stream = canvas.captureStream(30);
  const track = stream.getVideoTracks()[0];
  if (!context || !track) throw new Error("no canvas");
  let beat = 0;
  const draw = () => {
    context.fillStyle = colour;
    context.fillRect(0, 0, width, height);
    context.fillStyle = beat++ % 2 ? "#000" : "#fff"; // a still canvas gives no frames
    context.fillRect(0, 0, 8, 8);
    if (track.readyState === "live") setTimeout(draw, 33);
  };
  draw();
  return track;
}

/** A <video> that plays the track; its size is known once frames arrive. */
export function screen(track: MediaStreamTrack): HTMLVideoElement {
  const video = document.createElement("video");
  video.muted = true;
  video.srcObject = new MediaStream([track]);
  document.body.append(video);
  void video.play();
  return video;
}

/** The colour in the middle of what the video shows now. */
export function colourOf(video: HTMLVideoElement): [number, number, number] {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (!context || video.videoWidth === 0) return [-1, -1, -1];
  const { videoWidth: w, videoHeight: h } = video;
  context.drawImage(video, w / 2, h / 2, 1, 1, 0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

/** Wait until the video shows a colour in which `channel` (0 red, 1 green, 2 blue) stands out. */
export async function showsColour(video: HTMLVideoElement, channel: 0 | 1 | 2): Promise<void> {
  await expect
    .poll(
      () => {
        const colour = colourOf(video);
        return colour[channel] > 150 && colour.every((value, index) => index === channel || value < 100);
      },
      { timeout: 8_000, interval: 50 },
    )
    .toBe(true);
}

/** The stream's track, once it was announced to this end. */
export async function arrival(end: End, stream: string): Promise<MediaStreamTrack> {
  await expect.poll(() => end.received.has(stream), { timeout: 8_000, interval: 20 }).toBe(true);
  const track = end.received.get(stream);
  if (!track) throw new Error("unreachable");
  return track;
}
