/** The whole widget: puts header, stage, people, toolbar and messages together and keeps them up to date. */

import type { RoomState } from "../attachment";
import type { Failure } from "../failure";
import type { Participant, Stream } from "../protocol";
import type { Session } from "../session";
import { ErrorBanner } from "./banner";
import { DataSection } from "./data";
import { arrange, button, element, setAttribute, setText } from "./dom";
import { icon } from "./icons";
import { keepPlainKeys } from "./keys";
import { PeopleList } from "./people";
import { LocalTile, RemoteTile } from "./tile";
import { Toolbar } from "./toolbar";
import { Visibility } from "./visibility";
import { countWords, failureWords, kernelTrouble, statusWords } from "./words";

export interface RoomModel {
  room: string;
  state: RoomState;
  session: Session | null;
  failure: Failure | null;
}

export class RoomView {
  readonly #root: HTMLElement;
  readonly #retry: () => void;
  readonly #room = element("span", "room-name");
  readonly #status = element("span", "status-words");
  readonly #count = element("span", "count");
  readonly #detail = element("p", "detail");
  readonly #stage = element("div", "stage");
  readonly #hear: HTMLButtonElement;
  readonly #rejoin: HTMLButtonElement;
  readonly #people = new PeopleList();
  readonly #toolbar = new Toolbar();
  readonly #banner: ErrorBanner;
  readonly #local = new LocalTile();
  readonly #tiles = new Map<string, RemoteTile>();
  readonly #visibility: Visibility;
  readonly #data: DataSection;
  /** The session that the remote tiles belong to. */
  #session: Session | null = null;

  constructor(parent: HTMLElement, signal: AbortSignal, retry: () => void) {
    this.#retry = retry;
    this.#visibility = new Visibility(signal);
    this.#data = new DataSection(this.#visibility);
    this.#banner = new ErrorBanner({ dismiss: () => this.#session?.report(null), retry });
    this.#hear = button("hear", [icon("sound"), "Click to hear"], () => this.#session?.audio.unblock());
    this.#rejoin = button("retry", ["Join again"], () => this.#retry());
    this.#root = this.#build();
    parent.append(this.#root);
    keepPlainKeys(this.#root, signal);
    signal.addEventListener("abort", () => this.#close());
  }

  update({ room, state, session, failure }: RoomModel): void {
    if (session !== this.#session) this.#clearTiles();
    this.#session = session;
    setAttribute(this.#root, "data-state", state.name);
    setAttribute(this.#root, "data-participant-id", session?.me?.id ?? "");
    setAttribute(this.#root, "aria-label", `Room ${room}`);
    setText(this.#room, room);
    this.#room.title = room;
    this.#updateWords(state, session);
    this.#updateStage(session);
    this.#people.update(session);
    this.#data.update(session);
    this.#toolbar.update(session);
    this.#updateBanner(state, session, failure);
  }

  #build(): HTMLElement {
    const status = element(
      "span",
      "status",
      { role: "status", "aria-live": "polite" },
      element("span", "dot", { "aria-hidden": "true" }),
      this.#status,
    );
    const header = element("header", "header", {}, this.#room, status, this.#count);
    const notices = element(
      "div",
      "notices",
      { "aria-live": "polite" },
      this.#detail,
      this.#rejoin,
      this.#hear,
    );
    const body = element("div", "body", {}, this.#stage, this.#people.root);
    const parts = [header, this.#banner.root, notices, body, this.#data.root, this.#toolbar.root];
    return element("section", "room", {}, ...parts);
  }

  #updateWords(state: RoomState, session: Session | null): void {
    const present = session?.me && session.status !== "left" ? [session.me, ...session.others] : [];
    setText(this.#status, statusWords(state));
    setText(this.#count, present.length > 0 ? countWords(present) : "");
    setText(this.#detail, state.name === "error" ? "" : state.detail);
    this.#rejoin.hidden = !(state.name === "left" && session?.status === "left");
    this.#hear.hidden = !session?.audio.blocked;
  }

  #updateBanner(state: RoomState, session: Session | null, failure: Failure | null): void {
    const trouble = failure ?? (session?.status === "error" ? session.failure : null);
    if (trouble && state.of === "tab") this.#banner.update(failureWords(trouble), "retry");
    else if (state.name === "error") this.#banner.update(kernelTrouble(state.detail), "none");
    else this.#banner.update(session?.problem ?? null, "dismiss");
  }

  #updateStage(session: Session | null): void {
    this.#local.update(session);
    const shown = new Map<string, RemoteTile>();
    for (const participant of session?.others ?? []) {
      for (const [key, stream] of pictures(participant)) {
        const tile = this.#tiles.get(key) ?? this.#newTile(participant);
        if (!tile) continue;
        tile.update(participant, stream);
        shown.set(key, tile);
      }
    }
    for (const [key, tile] of this.#tiles) if (!shown.has(key)) tile.close();
    this.#tiles.clear();
    for (const [key, tile] of shown) this.#tiles.set(key, tile);
    arrange(this.#stage, [this.#local.root, ...[...shown.values()].map(({ root }) => root)]);
    setAttribute(this.#stage, "data-crowd", crowd(shown.size + 1));
  }

  #newTile(participant: Participant): RemoteTile | null {
    return this.#session && new RemoteTile(this.#session, participant, this.#visibility);
  }

  #clearTiles(): void {
    for (const tile of this.#tiles.values()) tile.close();
    this.#tiles.clear();
  }

  #close(): void {
    this.#clearTiles();
    this.#data.close();
    this.#local.update(null);
    this.#root.remove();
  }
}

/** The tiles of a participant: a person always has one, also without a camera; further videos have their own. */
function pictures(participant: Participant): [key: string, stream: Stream | null][] {
  const videos = (participant.streams ?? []).filter(({ kind }) => kind === "video");
  const camera = videos.find(({ source }) => source === "camera");
  const others = videos.filter((stream) => stream !== camera);
  const tiles: [string, Stream | null][] = others.map((stream) => [`${participant.id}/${stream.id}`, stream]);
  if (participant.kind === "browser" || camera) tiles.unshift([participant.id, camera ?? null]);
  return tiles;
}

/** Tiles have one of three sizes, so that somebody's coming rarely changes the size of the others. */
function crowd(tiles: number): string {
  if (tiles <= 2) return "few";
  return tiles <= 6 ? "some" : "many";
}
