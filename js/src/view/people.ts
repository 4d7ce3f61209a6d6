/** The list of participants: name, what they are, whether they are there, what they have switched on. */

import type { Participant, Source } from "../protocol";
import type { Session } from "../session";
import { arrange, button, element, setAttribute, setText } from "./dom";
import { icon, setIcon } from "./icons";

const MARKS = { camera: "camera on", microphone: "microphone on", screen: "shares a screen" } as const;
type Mark = keyof typeof MARKS;

class Person {
  readonly root = element("li", "person");
  readonly #kind = icon("browser");
  readonly #name = element("span", "person-name");
  readonly #mine = element("span", "person-mine");
  readonly #state = element("span", "person-state");
  readonly #marks = (Object.keys(MARKS) as Mark[]).map((source) => ({ source, icon: icon(source) }));
  readonly #spoken = element("span", "hidden");
  readonly #listen: HTMLButtonElement;
  readonly #listenIcon = icon("sound");

  constructor(listen: () => void) {
    this.#listen = button("person-listen", [this.#listenIcon], listen);
    const marks = element("span", "marks", {}, this.#listen, ...this.#marks.map((mark) => mark.icon));
    this.root.append(this.#kind, this.#name, this.#mine, this.#state, this.#spoken, marks);
  }

  update(participant: Participant, mine: boolean, connected: boolean): void {
    const state = connected ? "connected" : "reconnecting";
    setAttribute(this.root, "data-participant", participant.id);
    setAttribute(this.root, "data-state", state);
    setAttribute(this.root, "data-kind", participant.kind);
    setIcon(this.#kind, participant.kind);
    setText(this.#name, participant.name);
    setText(this.#mine, mine ? "(you)" : "");
    this.#name.title = participant.name;
    setText(this.#state, connected ? "" : "reconnecting");
    const on = this.#marks.filter(({ source }) => has(participant, source));
    for (const mark of this.#marks) mark.icon.toggleAttribute("hidden", !on.includes(mark));
    const words = on.map(({ source }) => MARKS[source]);
    setText(this.#spoken, [`, ${participant.kind}`, ...words].join(", "));
  }

  /** The sound of a kernel has no tile that a button could be on; null where there is none. */
  updateListen(name: string, hears: boolean | null): void {
    this.#listen.hidden = hears === null;
    setAttribute(this.#listen, "aria-pressed", String(hears === true));
    setAttribute(this.#listen, "aria-label", `Hear ${name}`);
    this.#listen.title = hears ? "Stop listening" : "Listen";
    setIcon(this.#listenIcon, hears ? "sound" : "sound-off");
  }
}

export class PeopleList {
  readonly root = element("ul", "people", { "aria-label": "Participants" });
  readonly #people = new Map<string, Person>();
  #session: Session | null = null;

  update(session: Session | null): void {
    this.#session = session;
    const me = session?.me ? { ...session.me, streams: session.media.streams } : null;
    const all = session && me && session.status !== "left" ? [me, ...session.others] : [];
    const present = new Set(all.map(({ id }) => id));
    for (const id of this.#people.keys()) if (!present.has(id)) this.#people.delete(id);
    for (const participant of all) {
      const mine = participant === me;
      const here = mine
        ? session?.status === "joined"
        : participant.state !== "reconnecting" && session?.peerState(participant.id) !== "reconnecting";
      const person = this.#person(participant.id);
      person.update(participant, mine, here);
      const sounds =
        participant.kind === "kernel" && participant.streams?.some(({ kind }) => kind === "audio");
      person.updateListen(participant.name, sounds && session ? session.hears(participant) : null);
    }
    arrange(
      this.root,
      all.map(({ id }) => this.#person(id).root),
    );
  }

  #person(id: string): Person {
    const person = this.#people.get(id) ?? new Person(() => this.#toggleListen(id));
    this.#people.set(id, person);
    return person;
  }

  #toggleListen(id: string): void {
    const participant = this.#session?.others.find((other) => other.id === id);
    if (participant) this.#session?.setHears(participant, !this.#session.hears(participant));
  }
}

function has(participant: Participant, source: Source): boolean {
  return participant.streams?.some((stream) => stream.source === source && !stream.muted) ?? false;
}
