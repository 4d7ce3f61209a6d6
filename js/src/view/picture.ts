/** The <video> of a tile: shows a MediaStream, and says when there is really a picture. */

import { element } from "./dom";

export class Picture {
  readonly video: HTMLVideoElement;
  readonly #tile: HTMLElement;

  /** Sets `data-live` on the tile while frames are shown. */
  constructor(tile: HTMLElement) {
    this.#tile = tile;
    // A stream's sound comes from the session, once a tab: the picture is silent.
    this.video = element("video", "video", {
      muted: true,
      playsinline: true,
      autoplay: true,
      "aria-hidden": "true",
    });
    this.video.muted = true;
    this.video.disablePictureInPicture = true;
    this.video.addEventListener("playing", () => this.#setLive(this.video.videoWidth > 0));
    this.video.addEventListener("resize", () => this.#setLive(this.video.videoWidth > 0));
  }

  show(stream: MediaStream | null): void {
    if (this.video.srcObject !== stream) {
      this.video.srcObject = stream;
      this.#setLive(false);
    }
    if (stream) this.resume();
  }

  /** A video that was out of the document is paused (JupyterLab takes cells out that are scrolled away). */
  resume(): void {
    if (this.video.srcObject && this.video.paused) this.video.play().catch(() => undefined);
  }

  #setLive(live: boolean): void {
    this.#tile.toggleAttribute("data-live", live);
  }
}
