/** The buttons and menus for this tab's camera and microphone. */

import type { DeviceSource } from "../media";
import type { Session } from "../session";
import { button, element, setAttribute } from "./dom";
import { icon, setIcon } from "./icons";

const LABEL: Record<DeviceSource, string> = { camera: "Camera", microphone: "Microphone" };

class DeviceControl {
  readonly root: HTMLElement;
  readonly #source: DeviceSource;
  readonly #icon;
  readonly #button: HTMLButtonElement;
  readonly #menu: HTMLSelectElement;
  #session: Session | null = null;
  #options = "";

  constructor(source: DeviceSource) {
    const label = LABEL[source];
    this.#source = source;
    this.#icon = icon(`${source}-off`);
    this.#button = button("switch", [this.#icon, element("span", "label", {}, label)], () => this.#toggle());
    setAttribute(this.#button, "aria-pressed", "false");
    this.#menu = element("select", "menu", { "aria-label": `Which ${source}` });
    this.#menu.addEventListener("change", () => {
      void this.#session?.media.choose(source, this.#menu.value);
    });
    this.root = element(
      "div",
      "control",
      { role: "group", "aria-label": `${label} settings` },
      this.#button,
      this.#menu,
    );
  }

  update(session: Session | null): void {
    this.#session = session;
    const state = session?.media.state(this.#source) ?? "off";
    const usable = session !== null && (session.status === "joined" || session.status === "reconnecting");
    // Not `disabled`: that would throw the keyboard's focus away each time the connection blinks.
    setAttribute(this.#button, "aria-disabled", usable ? null : "true");
    setAttribute(this.#button, "aria-pressed", String(state !== "off"));
    setAttribute(this.#button, "aria-busy", state === "starting" ? "true" : null);
    this.#button.title = `Switch the ${this.#source} ${state === "off" ? "on" : "off"}`;
    setIcon(this.#icon, state === "off" ? `${this.#source}-off` : this.#source);
    this.#fillMenu(session);
  }

  #toggle(): void {
    const session = this.#session;
    if (!session || this.#button.getAttribute("aria-disabled") === "true") return;
    session.report(null);
    if (session.media.state(this.#source) === "off") void session.media.switchOn(this.#source);
    else session.media.switchOff(this.#source);
  }

  /** Rebuilt only when the devices changed, so that an open menu does not close under the pointer. */
  #fillMenu(session: Session | null): void {
    const devices = session?.media.devices(this.#source) ?? [];
    const choices = devices.map(({ deviceId, label }, index) => ({
      value: deviceId,
      text: label || `${LABEL[this.#source]} ${index + 1}`,
    }));
    if (choices.length === 0) choices.push({ value: "", text: `Default ${this.#source}` });
    const options = JSON.stringify(choices);
    if (options !== this.#options) {
      this.#options = options;
      this.#menu.replaceChildren(...choices.map(({ value, text }) => new Option(text, value)));
    }
    const device = session?.media.device(this.#source) ?? "";
    if (choices.some(({ value }) => value === device) && this.#menu.value !== device)
      this.#menu.value = device;
  }
}

export class Toolbar {
  readonly root: HTMLElement;
  readonly #controls = [new DeviceControl("camera"), new DeviceControl("microphone")];

  constructor() {
    this.root = element("div", "toolbar", {}, ...this.#controls.map(({ root }) => root));
  }

  update(session: Session | null): void {
    for (const control of this.#controls) control.update(session);
  }
}
