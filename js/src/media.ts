/** What this tab sends: camera, microphone, screen; on, off, which device, and what went wrong; runs in the browser tab. */

import type { MediaKind, Source, Stream } from "./protocol";
import { constraintsFor, type Quality, USUAL } from "./quality";

export type DeviceSource = Extract<Source, "camera" | "microphone">;
export type LocalSource = DeviceSource | "screen";
export type VideoSource = "camera" | "screen";

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

const KIND: Record<LocalSource, MediaKind> = { camera: "video", microphone: "audio", screen: "video" };

export class LocalMedia {
  readonly #on: MediaEvents;
  readonly #streams = new Map<LocalSource, LocalStream>();
  readonly #chosen = new Map<DeviceSource, string>();
  readonly #quality = new Map<LocalSource, Quality>();
  /** The request under way for each source; a later one makes an earlier one void. */
  readonly #requests = new Map<LocalSource, object>();
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

  stream(source: LocalSource): LocalStream | null {
    return this.#streams.get(source) ?? null;
  }

  find(id: string): LocalStream | null {
    for (const stream of this.#streams.values()) if (stream.info.id === id) return stream;
    return null;
  }

  state(source: LocalSource): "off" | "starting" | "on" {
    if (this.#requests.has(source)) return "starting";
    return this.#streams.has(source) ? "on" : "off";
  }

  /** The devices to choose from; without names until a permission was given. */
  devices(source: DeviceSource): MediaDeviceInfo[] {
    const kind = `${KIND[source]}input`;
    return this.#devices.filter((device) => device.kind === kind && device.deviceId !== "");
  }

  /** The device in use, or asked for, or chosen for the next time; "" leaves it to the browser. */
  device(source: DeviceSource): string {
    const chosen = this.#chosen.get(source) ?? "";
    if (this.#requests.has(source)) return chosen;
    return this.#streams.get(source)?.track.getSettings().deviceId ?? chosen;
  }

  /** Only to be called for a person's click. */
  async switchOn(source: LocalSource): Promise<void> {
    if (this.#streams.has(source) || this.#requests.has(source)) return;
    const track = await this.#capture(source);
    if (track) this.#start(source, track);
  }

  switchOff(source: LocalSource): void {
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
    if (!track) {
      const failed = this.#streams.get(source) === present && !this.#requests.has(source);
      if (failed) this.#chosen.set(source, this.device(source)); // the one in use stays the choice
      return;
    }
    present.track.onended = null;
    present.track.stop();
    const stream = { info: present.info, track };
    this.#watch(source, stream);
    this.#on.retracked(stream);
    this.#on.changed();
  }

  /** The size and rate that are asked for, now or at the next start; null leaves a screen as it is. */
  quality(source: VideoSource): Quality | null {
    return source === "camera" ? this.#cameraQuality : (this.#quality.get(source) ?? null);
  }

  /** Ask for another one, without a new negotiation; what the browser made of it. Null where the source is off. */
  async constrain(source: VideoSource, wanted: Partial<Quality>): Promise<Quality | null> {
    const track = this.#streams.get(source)?.track;
    const present = this.quality(source) ?? (track ? settingsOf(track) : USUAL);
    const quality = { ...present, ...wanted };
    await track?.applyConstraints(constraintsFor(quality));
    this.#quality.set(source, quality);
    this.#on.changed();
    return track ? settingsOf(track) : null;
  }

  get #cameraQuality(): Quality {
    return this.#quality.get("camera") ?? USUAL;
  }

  async refreshDevices(): Promise<void> {
    const devices = (await navigator.mediaDevices?.enumerateDevices().catch(() => [])) ?? [];
    if (this.#abort.signal.aborted) return;
    this.#devices = devices;
    this.#on.changed();
  }

  /** The device lights go out; a later click may switch them on again. */
  switchAllOff(): void {
    for (const source of ["camera", "microphone", "screen"] as const) this.switchOff(source);
  }

  close(): void {
    this.#abort.abort();
    this.switchAllOff();
  }

  /** The new track, or null where there is none or nobody wants it any more. */
  async #capture(source: LocalSource): Promise<MediaStreamTrack | null> {
    const request = {};
    this.#requests.set(source, request);
    this.#on.changed();
    const quality = this.#cameraQuality;
    const wanted = () => this.#requests.get(source) === request && !this.#abort.signal.aborted;
    try {
      const track = await (source === "screen"
        ? openScreen(this.quality("screen"))
        : openDevice(source, this.#chosen.get(source) ?? "", quality));
      // Another size may have been chosen while the browser asked for a permission.
      if (source === "camera" && quality !== this.#cameraQuality)
        await track.applyConstraints(constraintsFor(this.#cameraQuality));
      if (wanted()) return track;
      track.stop();
    } catch (error) {
      const problem = source === "screen" ? explainScreen(error) : explain(source, error);
      if (wanted() && problem) this.#on.problem(problem);
    } finally {
      if (wanted()) this.#requests.delete(source);
      this.#on.changed();
    }
    return null;
  }

  #start(source: LocalSource, track: MediaStreamTrack): void {
    const info: Stream = { id: streamId(source), name: source, kind: KIND[source], source };
    const stream = { info, track };
    this.#watch(source, stream);
    this.#on.started(stream);
    this.#on.changed();
    void this.refreshDevices(); // the permission brings the names
  }

  #watch(source: LocalSource, stream: LocalStream): void {
    this.#streams.set(source, stream);
    stream.track.onended = () => {
      this.switchOff(source);
      if (source === "screen") return; // the browser has a button of its own to stop it, or the window was closed
      this.#on.problem({
        what: `The ${source} stopped.`,
        advice: `It was unplugged, or its permission was withdrawn. Plug it in again, or choose another one, and switch it on.`,
      });
    };
  }

  #stop(source: LocalSource, stream: LocalStream): void {
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

function settingsOf(track: MediaStreamTrack): Quality {
  const { width = 0, height = 0, frameRate = 0 } = track.getSettings();
  return { width, height, fps: Math.round(frameRate) };
}

async function openDevice(
  source: DeviceSource,
  deviceId: string,
  quality: Quality,
): Promise<MediaStreamTrack> {
  // Browsers hide mediaDevices from pages that did not come by HTTPS or from this machine.
  if (!navigator.mediaDevices) throw new DOMException("insecure context", "InsecureContextError");
  const device = deviceId ? { deviceId: { exact: deviceId } } : {};
  const video = { ...device, ...constraintsFor(quality) };
  const audio = { ...device, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
  const stream = await navigator.mediaDevices.getUserMedia(source === "camera" ? { video } : { audio });
  const track = stream.getTracks()[0];
  if (!track) throw new DOMException("no track", "NotFoundError");
  return track;
}

/** A screen, a window or a tab, which the person chooses in the browser's own dialog. */
async function openScreen(quality: Quality | null): Promise<MediaStreamTrack> {
  if (!navigator.mediaDevices?.getDisplayMedia)
    throw new DOMException("insecure context", "InsecureContextError");
  const stream = await navigator.mediaDevices.getDisplayMedia({
    video: quality ? constraintsFor(quality) : { frameRate: { ideal: USUAL.fps } },
  });
  const track = stream.getVideoTracks()[0];
  if (!track) throw new DOMException("no track", "NotFoundError");
  track.contentHint = "detail"; // text is to stay sharp; W3C mst-content-hint
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

/** What an error of getDisplayMedia means; null where the person changed their mind. */
export function explainScreen(error: unknown): Problem | null {
  const { name, message } = error instanceof DOMException ? error : { name: "", message: String(error) };
  if (name === "NotAllowedError" && /system/i.test(message))
    return {
      what: "The system does not let this browser show the screen.",
      advice:
        "Allow it in the system's privacy settings (screen recording), start the browser again, and click again.",
    };
  if (name === "NotAllowedError" || name === "AbortError") return null;
  if (name === "InsecureContextError")
    return {
      what: "This browser cannot share a screen from this page.",
      advice: "It takes a desktop browser, and Jupyter opened as https://… or as http://localhost.",
    };
  return { what: "The screen could not be shared.", advice: `The browser says: ${message}` };
}
