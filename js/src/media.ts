/** This tab's camera and microphone: on, off, which device, and what went wrong in words; runs in the browser tab. */

import type { MediaKind, Source, Stream } from "./protocol";

export type DeviceSource = Extract<Source, "camera" | "microphone">;

/** What happened, and what a person can do about it. */
export interface Problem {
  what: string;
  advice: string;
}

export interface LocalStream {
  readonly info: Stream;
  readonly track: MediaStreamTrack;
}

export interface MediaEvents {
  /** Something that a view shows has changed. */
  changed(): void;
  started(stream: LocalStream): void;
  stopped(stream: Stream): void;
  /** Another device feeds the same stream. */
  retracked(stream: LocalStream): void;
  problem(problem: Problem): void;
}

const KIND: Record<DeviceSource, MediaKind> = { camera: "video", microphone: "audio" };

export class LocalMedia {
  readonly #on: MediaEvents;
  readonly #streams = new Map<DeviceSource, LocalStream>();
  readonly #chosen = new Map<DeviceSource, string>();
  /** The request under way for each source; a later one makes an earlier one void. */
  readonly #requests = new Map<DeviceSource, object>();
  readonly #abort = new AbortController();
  #devices: MediaDeviceInfo[] = [];

  constructor(events: MediaEvents) {
    this.#on = events;
    const refresh = () => void this.refreshDevices();
    navigator.mediaDevices?.addEventListener("devicechange", refresh, { signal: this.#abort.signal });
    refresh();
  }

  /** The streams that are on, as the others are told. */
  get streams(): Stream[] {
    return [...this.#streams.values()].map(({ info }) => info);
  }

  stream(source: DeviceSource): LocalStream | null {
    return this.#streams.get(source) ?? null;
  }

  find(id: string): LocalStream | null {
    for (const stream of this.#streams.values()) if (stream.info.id === id) return stream;
    return null;
  }

  state(source: DeviceSource): "off" | "starting" | "on" {
    if (this.#requests.has(source)) return "starting";
    return this.#streams.has(source) ? "on" : "off";
  }

  /** The devices to choose from; without names until a permission was given. */
  devices(source: DeviceSource): MediaDeviceInfo[] {
    const kind = `${KIND[source]}input`;
    return this.#devices.filter((device) => device.kind === kind && device.deviceId !== "");
  }

  /** The device in use or chosen for the next time; "" leaves it to the browser. */
  device(source: DeviceSource): string {
    return this.#streams.get(source)?.track.getSettings().deviceId ?? this.#chosen.get(source) ?? "";
  }

  /** Only to be called for a person's click. */
  async switchOn(source: DeviceSource): Promise<void> {
    if (this.#streams.has(source) || this.#requests.has(source)) return;
    const track = await this.#capture(source);
    if (track) this.#start(source, track);
  }

  switchOff(source: DeviceSource): void {
    this.#requests.delete(source);
    const stream = this.#streams.get(source);
    if (stream) this.#stop(source, stream);
    this.#on.changed();
  }

  /** Use another device; a stream that is on goes on with it, under the same id. */
  async choose(source: DeviceSource, deviceId: string): Promise<void> {
    this.#chosen.set(source, deviceId);
    const present = this.#streams.get(source);
    if (!present) {
      // A request for the other device may be under way: ask anew.
      if (this.#requests.delete(source)) await this.switchOn(source);
      return this.#on.changed();
    }
    const track = await this.#capture(source);
    if (!track) return;
    present.track.onended = null;
    present.track.stop();
    const stream = { info: present.info, track };
    this.#watch(source, stream);
    this.#on.retracked(stream);
    this.#on.changed();
  }

  async refreshDevices(): Promise<void> {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    if (this.#abort.signal.aborted) return;
    this.#devices = devices;
    this.#on.changed();
  }

  /** The device lights go out; a later click may switch them on again. */
  switchAllOff(): void {
    for (const source of ["camera", "microphone"] as const) this.switchOff(source);
  }

  close(): void {
    this.#abort.abort();
    this.switchAllOff();
  }

  /** The new track, or null where there is none or nobody wants it any more. */
  async #capture(source: DeviceSource): Promise<MediaStreamTrack | null> {
    const request = {};
    this.#requests.set(source, request);
    this.#on.changed();
    const wanted = () => this.#requests.get(source) === request && !this.#abort.signal.aborted;
    try {
      const track = await openDevice(source, this.#chosen.get(source) ?? "");
      if (wanted()) return track;
      track.stop();
    } catch (error) {
      if (wanted()) this.#on.problem(explain(source, error));
    } finally {
      if (wanted()) this.#requests.delete(source);
      this.#on.changed();
    }
    return null;
  }

  #start(source: DeviceSource, track: MediaStreamTrack): void {
    const info: Stream = { id: streamId(source), name: source, kind: KIND[source], source };
    const stream = { info, track };
    this.#watch(source, stream);
    this.#on.started(stream);
    this.#on.changed();
    void this.refreshDevices(); // the permission brings the names
  }

  #watch(source: DeviceSource, stream: LocalStream): void {
    this.#streams.set(source, stream);
    stream.track.onended = () => {
      this.switchOff(source);
      this.#on.problem({
        what: `The ${source} stopped.`,
        advice: `It was unplugged, or its permission was withdrawn. Plug it in again, or choose another one, and switch it on.`,
      });
    };
  }

  #stop(source: DeviceSource, stream: LocalStream): void {
    this.#streams.delete(source);
    stream.track.onended = null;
    stream.track.stop();
    this.#on.stopped(stream.info);
  }
}

function streamId(source: Source): string {
  const bytes = crypto.getRandomValues(new Uint8Array(4));
  return `${source}-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

async function openDevice(source: DeviceSource, deviceId: string): Promise<MediaStreamTrack> {
  // Browsers hide mediaDevices from pages that did not come by HTTPS or from this machine.
  if (!navigator.mediaDevices) throw new DOMException("insecure context", "InsecureContextError");
  const device = deviceId ? { deviceId: { exact: deviceId } } : {};
  const video = { ...device, width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  const audio = { ...device, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const stream = await navigator.mediaDevices.getUserMedia(source === "camera" ? { video } : { audio });
  const track = stream.getTracks()[0];
  if (!track) throw new DOMException("no track", "NotFoundError");
  return track;
}

/** What an error of getUserMedia means to the person who clicked. */
export function explain(source: DeviceSource, error: unknown): Problem {
  const name = error instanceof DOMException ? error.name : "";
  switch (name) {
    case "InsecureContextError":
      return {
        what: `This page may not use the ${source}, because it was not opened over a secure address.`,
        advice: `Open Jupyter as https://…, or as http://localhost on this computer (an SSH tunnel does), and try again.`,
      };
    case "NotAllowedError":
    case "SecurityError":
      return {
        what: `The browser does not let this page use the ${source}.`,
        advice: `Click the icon beside the address, allow the ${source} for this site, and click again. If the browser does not ask, look into the system's privacy settings.`,
      };
    case "NotFoundError":
      return {
        what: `No ${source} was found.`,
        advice: `Plug one in and click again. In a virtual machine or a container, pass it through from the host.`,
      };
    case "NotReadableError":
    case "AbortError":
      return {
        what: `The ${source} is there, but could not be started.`,
        advice: `Another program may be using it: close that one (a video call, another browser) and click again.`,
      };
    case "OverconstrainedError":
      return {
        what: `The chosen ${source} is not there any more.`,
        advice: `Choose another one in the list and click again.`,
      };
    default:
      return {
        what: `The ${source} could not be started.`,
        advice: `The browser says: ${error instanceof Error ? error.message : String(error)}`,
      };
  }
}
