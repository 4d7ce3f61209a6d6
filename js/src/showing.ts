/** One <video> of a page's author that shows somebody's stream, whatever happens meanwhile; runs in the browser tab. */

import { findVideo } from "./find_video";
import type { Session } from "./session";

export interface Wanted {
  /** Id, name or user. */
  who: string;
  /** Id or name of the stream. */
  stream?: string | undefined;
}

/** Asks for the stream as soon as it is there, and anew whenever it is another one, until it is stopped. */
export class Showing {
  readonly #session: Session;
  readonly #video: HTMLVideoElement;
  readonly #wanted: Wanted;
  readonly #abort = new AbortController();
  /** What is asked for, as one word, and what ends that. */
  #asked = "";
  #unwatch: (() => void) | null = null;
  #shown: MediaStream | null = null;

  constructor(session: Session, video: HTMLVideoElement, wanted: Wanted) {
    this.#session = session;
    this.#video = video;
    this.#wanted = wanted;
    // It has no sound of its own; browsers start nothing by themselves that might have.
    video.muted = true;
    video.playsInline = true;
    session.addEventListener("change", () => this.#update(), { signal: this.#abort.signal });
    this.#update();
  }

  stop(): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#unwatch?.();
    if (this.#video.srcObject === this.#shown) this.#video.srcObject = null;
  }

  #update(): void {
    const { who, stream } = this.#wanted;
    const found = findVideo(this.#session.others, who, stream);
    const asked = found ? `${found.participant}/${found.stream}` : "";
    if (asked !== this.#asked) {
      this.#asked = asked;
      this.#unwatch?.();
      this.#unwatch = found && this.#session.watch(found.participant, found.stream);
    }
    this.#show(found && this.#session.arrived(found.participant, found.stream));
  }

  #show(media: MediaStream | null): void {
    if (media === this.#shown) return;
    this.#shown = media;
    this.#video.srcObject = media;
    if (media) this.#video.play().catch(() => undefined); // out of the document, or another one was set meanwhile
  }
}
