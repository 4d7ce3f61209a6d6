/** What others ask of this tab's streams: to be off, or of another size; runs in the browser tab. */

import type { LocalMedia, LocalSource, Problem } from "./media";
import type { ClientMessage, Message } from "./protocol";

export type Request = Message<"stream.mute" | "stream.constrain">;

export interface RequestsHost {
  readonly media: LocalMedia;
  /** The kernels whose notebooks this tab shows. */
  owners(): readonly string[];
  /** Of somebody in the room. */
  name(participant: string): string;
  send(message: ClientMessage): void;
  report(problem: Problem): void;
}

const BUTTON: Record<LocalSource, string> = {
  camera: "Camera",
  microphone: "Microphone",
  screen: "Share screen",
};

export class Requests {
  readonly #host: RequestsHost;

  constructor(host: RequestsHost) {
    this.#host = host;
  }

  receive(from: string, message: Request): void {
    if (message.type === "stream.mute") this.#mute(from, message.stream);
    else void this.#constrain(from, message);
  }

  /** Anybody in the room may ask; the person here sees who did, and has the last word. */
  #mute(from: string, stream: string): void {
    const source = this.#host.media.find(stream)?.info.source;
    if (!source || source === "other") return;
    this.#host.media.switchOff(source);
    const what = source === "screen" ? "stopped your screen sharing" : `switched your ${source} off`;
    this.#host.report({
      what: `${this.#host.name(from)} ${what}.`,
      advice: `Click ${BUTTON[source]} to switch it on again.`,
    });
  }

  async #constrain(from: string, { stream, id, ...wanted }: Message<"stream.constrain">): Promise<void> {
    const answer = (result: Omit<Message<"stream.constrained">, "type" | "to" | "reply_to">) => {
      if (id) this.#host.send({ type: "stream.constrained", to: from, reply_to: id, ...result });
    };
    const source = this.#host.media.find(stream)?.info.source;
    if (!this.#host.owners().includes(from))
      return answer({ problem: "that tab does not show this notebook" });
    if (source !== "camera" && source !== "screen") return answer({ problem: "it is off" });
    const { width, height, fps } = wanted;
    const quality = { ...(width && { width }), ...(height && { height }), ...(fps && { fps }) };
    try {
      const settings = await this.#host.media.constrain(source, quality);
      answer(settings ?? { problem: "it is off" });
    } catch (error) {
      answer({ problem: `the browser says: ${String(error)}`.slice(0, 1024) });
    }
  }
}
