/** One tile of the stage: this tab's own preview, or what another participant sends. */

import type { Participant, Stream } from "../protocol";
import type { Session } from "../session";
import { button, element, setAttribute, setText } from "./dom";
import { type IconName, icon, setIcon } from "./icons";
import { Picture } from "./picture";
import type { Visibility } from "./visibility";
import { initials } from "./words";

/** Picture, stand-in, name, and marks: what both sorts of tile have. */
class Frame {
  readonly root = element("figure", "tile");
  readonly picture = new Picture(this.root);
  readonly caption = element("figcaption", "caption");
  readonly #name = element("span", "tile-name");
  readonly #microphone = icon("microphone-off");
  readonly #standIn = element("div", "stand-in", { "aria-hidden": "true" });
  readonly #note = element("span", "note");

  constructor() {
    this.caption.append(this.#microphone, this.#name);
    this.root.append(this.#standIn, this.picture.video, this.#note, this.caption);
  }

  update(name: string, standIn: string, note: string, microphone: boolean | null): void {
    setText(this.#name, name);
    this.#name.title = name;
    setText(this.#standIn, standIn);
    setText(this.#note, note);
    this.#microphone.toggleAttribute("hidden", microphone === null);
    setIcon(this.#microphone, microphone ? "microphone" : "microphone-off");
    this.#microphone.toggleAttribute("data-on", microphone === true);
  }
}

/** What the others see of us; mirrored, as in a mirror. It is there from the start, so that nothing jumps later. */
export class LocalTile {
  readonly #frame = new Frame();
  #shown: MediaStreamTrack | null = null;

  constructor() {
    this.root.classList.add("forge-rtc-local");
  }

  get root(): HTMLElement {
    return this.#frame.root;
  }

  update(session: Session | null): void {
    const track = session?.media.stream("camera")?.track ?? null;
    if (track !== this.#shown) {
      this.#shown = track;
      this.#frame.picture.show(track && new MediaStream([track]));
    }
    const starting = session?.media.state("camera") === "starting";
    const note = starting ? "Starting the camera…" : track ? "" : "Camera is off";
    const microphone = session?.media.state("microphone") === "on";
    this.#frame.update("You", initials(session?.me?.name ?? "You"), note, microphone);
  }
}

export class RemoteTile {
  readonly #frame = new Frame();
  readonly #session: Session;
  readonly #visibility: Visibility;
  readonly #listen: HTMLButtonElement;
  readonly #listenIcon = icon("sound");
  #participant: Participant;
  #stream: Stream | null = null;
  #unwatch: (() => void) | null = null;
  #seen = false;

  constructor(session: Session, participant: Participant, visibility: Visibility) {
    this.#session = session;
    this.#participant = participant;
    this.#visibility = visibility;
    this.#listen = button("listen", [this.#listenIcon], () => {
      session.setHears(this.#participant, !session.hears(this.#participant));
    });
    this.#frame.caption.append(this.#listen);
    visibility.watch(this.root, (shown) => this.#setSeen(shown));
  }

  get root(): HTMLElement {
    return this.#frame.root;
  }

  update(participant: Participant, stream: Stream | null): void {
    this.#participant = participant;
    if (stream?.id !== this.#stream?.id) this.#setStream(stream);
    this.#stream = stream;
    setAttribute(this.root, "data-participant", participant.id);
    setAttribute(this.root, "data-stream", stream?.id ?? null);
    this.root.toggleAttribute("data-readable", stream !== null && stream.source !== "camera");
    this.#frame.picture.show(stream ? this.#session.arrived(participant.id, stream.id) : null);
    const microphone = participant.streams?.some(({ kind }) => kind === "audio") ?? false;
    const named =
      stream && stream.source !== "camera" ? `${participant.name}: ${stream.name}` : participant.name;
    this.#frame.update(named, initials(participant.name), this.#note(), this.#isPerson ? microphone : null);
    this.#updateListen(microphone);
  }

  close(): void {
    this.#visibility.forget(this.root);
    this.#setStream(null);
    this.#frame.picture.show(null);
    this.root.remove();
  }

  get #isPerson(): boolean {
    return (
      this.#participant.kind === "browser" && (this.#stream === null || this.#stream.source === "camera")
    );
  }

  /** Shown until there is a picture, and over the last one while the connection is made anew (`data-stalled`). */
  #note(): string {
    const connection = this.#session.peerState(this.#participant.id);
    const lost = this.#participant.state === "reconnecting" || connection === "reconnecting";
    const busy = this.#stream?.stalled === true;
    this.root.toggleAttribute("data-stalled", lost || busy);
    if (lost) return "Reconnecting…";
    if (busy) return "Kernel busy…";
    return this.#stream ? "Connecting…" : "Camera is off";
  }

  #updateListen(microphone: boolean): void {
    const hears = this.#session.hears(this.#participant);
    this.#listen.hidden = !microphone || !this.#isPerson;
    setAttribute(this.#listen, "aria-pressed", String(hears));
    setAttribute(this.#listen, "aria-label", `Hear ${this.#participant.name}`);
    this.#listen.title = hears ? "Stop listening" : "Listen";
    const name: IconName = hears ? "sound" : "sound-off";
    setIcon(this.#listenIcon, name);
  }

  #setSeen(seen: boolean): void {
    this.#seen = seen;
    if (seen) this.#frame.picture.resume();
    this.#subscribe();
  }

  #setStream(stream: Stream | null): void {
    this.#unwatch?.();
    this.#unwatch = null;
    this.#stream = stream;
    this.#subscribe();
  }

  #subscribe(): void {
    if (this.#seen && this.#stream) {
      this.#unwatch ??= this.#session.watch(this.#participant.id, this.#stream.id);
    } else {
      this.#unwatch?.();
      this.#unwatch = null;
    }
  }
}
