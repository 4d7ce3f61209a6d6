/** The list of participants: name, what they are, whether they are there, what they have switched on. */

import type { Participant, Source } from "../protocol";
import type { Session } from "../session";
import { arrange, element, setAttribute, setText } from "./dom";
import { icon, setIcon } from "./icons";

class Person {
  readonly root = element("li", "person");
  readonly #kind = icon("browser");
  readonly #name = element("span", "person-name");
  readonly #mine = element("span", "person-mine");
  readonly #state = element("span", "person-state");
  readonly #camera = icon("camera");
  readonly #microphone = icon("microphone");
  readonly #spoken = element("span", "hidden");

  constructor() {
    const marks = element("span", "marks", {}, this.#camera, this.#microphone);
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
    const camera = has(participant, "camera");
    const microphone = has(participant, "microphone");
    this.#camera.toggleAttribute("hidden", !camera);
    this.#microphone.toggleAttribute("hidden", !microphone);
    const on = [camera ? "camera on" : "", microphone ? "microphone on" : ""].filter(Boolean);
    setText(this.#spoken, [`, ${participant.kind}`, ...on].join(", "));
  }
}

export class PeopleList {
  readonly root = element("ul", "people", { "aria-label": "Participants" });
  readonly #people = new Map<string, Person>();

  update(session: Session | null): void {
    const me = session?.me ? { ...session.me, streams: session.media.streams } : null;
    const all = session && me && session.status !== "left" ? [me, ...session.others] : [];
    const present = new Set(all.map(({ id }) => id));
    for (const id of this.#people.keys()) if (!present.has(id)) this.#people.delete(id);
    for (const participant of all) {
      const mine = participant === me;
      const here = mine
        ? session?.status === "joined"
        : participant.state !== "reconnecting" && session?.peerState(participant.id) !== "reconnecting";
      this.#person(participant.id).update(participant, mine, here);
    }
    arrange(
      this.root,
      all.map(({ id }) => this.#person(id).root),
    );
  }

  #person(id: string): Person {
    const person = this.#people.get(id) ?? new Person();
    this.#people.set(id, person);
    return person;
  }
}

function has(participant: Participant, source: Source): boolean {
  return participant.streams?.some((stream) => stream.source === source && !stream.muted) ?? false;
}
