/** The buttons and menus for this tab's camera, microphone and screen. */

import type { DeviceSource, LocalSource } from "../media";
import { isSame, PRESETS, type Quality, USUAL, words } from "../quality";
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
  readonly #quality: QualityMenu | null;
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
    this.#quality = source === "camera" ? new QualityMenu() : null;
    if (this.#quality) this.root.append(this.#quality.root);
  }

  update(session: Session | null): void {
    this.#session = session;
    const state = showState(this.#button, this.#source, session);
    this.#button.title = `Switch the ${this.#source} ${state === "off" ? "on" : "off"}`;
    setIcon(this.#icon, state === "off" ? `${this.#source}-off` : this.#source);
    this.#fillMenu(session);
    this.#quality?.update(session);
  }

  #toggle(): void {
    toggle(this.#button, this.#source, this.#session);
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

/** Size and rate of the camera. A kernel may choose another one than is listed: then that is listed, too. */
class QualityMenu {
  readonly root = element("select", "menu quality", { "aria-label": "Camera size and rate" });
  #session: Session | null = null;
  #choices: readonly Quality[] = [];

  constructor() {
    this.root.addEventListener("change", () => {
      const quality = this.#choices[this.root.selectedIndex];
      if (quality) this.#session?.media.constrain("camera", quality).catch((error) => this.#refused(error));
    });
  }

  #refused(error: unknown): void {
    this.#session?.report({
      what: "The camera does not take that size and rate.",
      advice: `Choose another one. The browser says: ${error instanceof Error ? error.message : String(error)}`,
    });
    this.update(this.#session);
  }

  update(session: Session | null): void {
    this.#session = session;
    const quality = session?.media.quality("camera") ?? USUAL;
    const listed = PRESETS.some((preset) => isSame(preset, quality));
    const choices = listed ? PRESETS : [...PRESETS, quality];
    if (JSON.stringify(choices) !== JSON.stringify(this.#choices)) {
      this.#choices = choices;
      this.root.replaceChildren(...choices.map((choice) => new Option(words(choice))));
    }
    const index = choices.findIndex((choice) => isSame(choice, quality));
    if (this.root.selectedIndex !== index) this.root.selectedIndex = index;
  }
}

/** The browser asks which screen, window or tab it is to be. */
class ScreenControl {
  readonly root: HTMLElement;
  readonly #button: HTMLButtonElement;
  #session: Session | null = null;

  constructor() {
    const parts = [icon("screen"), element("span", "label", {}, "Share screen")];
    this.#button = button("switch", parts, () => toggle(this.#button, "screen", this.#session));
    this.root = element("div", "control", {}, this.#button);
    // Telephones have no such thing; where the page is insecure, a click says what to do.
    this.root.hidden = window.isSecureContext && !navigator.mediaDevices?.getDisplayMedia;
  }

  update(session: Session | null): void {
    this.#session = session;
    const state = showState(this.#button, "screen", session);
    this.#button.title = state === "off" ? "Show a screen or a window to the others" : "Stop sharing";
  }
}

function showState(switcher: HTMLButtonElement, source: LocalSource, session: Session | null): string {
  const state = session?.media.state(source) ?? "off";
  const usable = session !== null && (session.status === "joined" || session.status === "reconnecting");
  // Not `disabled`: that would throw the keyboard's focus away each time the connection blinks.
  setAttribute(switcher, "aria-disabled", usable ? null : "true");
  setAttribute(switcher, "aria-pressed", String(state !== "off"));
  setAttribute(switcher, "aria-busy", state === "starting" ? "true" : null);
  return state;
}

function toggle(switcher: HTMLButtonElement, source: LocalSource, session: Session | null): void {
  if (!session || switcher.getAttribute("aria-disabled") === "true") return;
  session.report(null);
  if (session.media.state(source) === "off") void session.media.switchOn(source);
  else session.media.switchOff(source);
}

export class Toolbar {
  readonly root: HTMLElement;
  readonly #controls = [new DeviceControl("camera"), new DeviceControl("microphone"), new ScreenControl()];

  constructor() {
    this.root = element("div", "toolbar", {}, ...this.#controls.map(({ root }) => root));
  }

  update(session: Session | null): void {
    for (const control of this.#controls) control.update(session);
  }
}
