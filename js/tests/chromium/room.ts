/** A Jupyter page in a test: a hub in place of the server, models in place of kernels, and other people. */

import { expect, vi } from "vitest";
import { Session } from "../../src/session";
import type { Access } from "../../src/signaling";
import makeWidget from "../../src/widget";
import { Hub } from "../harness/hub.mjs";

let hub = new Hub();

/** Hosts that refuse every WebSocket of this page, as Jupyter does with a foreign origin. */
export const refusing = new Set<string>();

/** The browser's WebSocket, with the hub at its other end. */
class HubSocket {
  static readonly OPEN = 1;
  static all: HubSocket[] = [];
  readyState = 0;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  readonly url: string;
  readonly #connection;

  constructor(url: string) {
    this.url = url;
    const room = new URL(url).searchParams.get("room") ?? "";
    this.#connection = hub.connect(room, (message) => {
      queueMicrotask(() => this.onmessage?.({ data: JSON.stringify(message) }));
    });
    HubSocket.all.push(this);
    queueMicrotask(() => {
      if (refusing.has(new URL(url).host)) {
        this.onclose?.({ code: 1006 });
        return;
      }
      this.readyState = 1;
      this.onopen?.();
    });
  }

  send(frame: string): void {
    this.#connection.receive(JSON.parse(frame));
  }

  close(code: number): void {
    this.readyState = 3;
    this.#connection.close();
    this.onclose?.({ code });
  }
}

export type Model = ReturnType<typeof fakeModel>;

/** A model that remembers what was sent to its kernel. */
export function fakeModel(traits: Record<string, string> = {}) {
  const values: Record<string, string> = {
    room_id: "r",
    kernel_id: "k1",
    server_id: "",
    status: "joined",
    detail: "",
  };
  Object.assign(values, traits);
  const listeners = new Map<string, Set<(content?: unknown) => void>>();
  const emit = (event: string, content?: unknown) => {
    for (const listener of listeners.get(event) ?? []) listener(content);
  };
  return {
    sent: [] as Record<string, string>[],
    get: (name: string) => values[name] ?? "",
    put(name: string, value: string) {
      values[name] = value;
      emit(`change:${name}`);
    },
    say: (content: unknown) => emit("msg:custom", content),
    on(event: string, listener: () => void) {
      listeners.set(event, (listeners.get(event) ?? new Set()).add(listener));
    },
    off: (event: string, listener: () => void) => listeners.get(event)?.delete(listener),
    send(message: Record<string, string>) {
      this.sent.push(message);
    },
    listening: () => [...listeners.values()].reduce((sum, set) => sum + set.size, 0),
  };
}

export interface View {
  el: HTMLElement;
  room: HTMLElement;
  close(): void;
}

const views: View[] = [];
const guests: Session[] = [];

/** Render the widget as anywidget does. */
export function show(model: Model = fakeModel(), width = 800): View {
  const el = document.createElement("div");
  el.style.width = `${width}px`;
  document.body.append(el);
  const controller = new AbortController();
  makeWidget().render({ model: model as never, el, signal: controller.signal });
  const close = () => {
    controller.abort();
    el.remove();
  };
  const view = { el, room: el.querySelector<HTMLElement>(".forge-rtc-room") ?? el, close };
  views.push(view);
  return view;
}

/** Somebody else in the room: "Ada", or "kernel:Python". */
export function invite(name: string): Session {
  const socketUrl = (room: string) => `ws://hub/?room=${room}`;
  const access: Access = { socketUrl, ticket: async () => name };
  const session = new Session("r", access);
  session.start();
  guests.push(session);
  return session;
}

export interface PageOptions {
  /** False for a page that is not Jupyter's, such as an editor's. */
  jupyter?: boolean;
  /** False for a Jupyter server without the extension. */
  extension?: boolean;
  /** The server's id; undefined for one of an earlier version, which has none. */
  server?: string | undefined;
}

const RealWebSocket = globalThis.WebSocket;
const realFetch = globalThis.fetch;
export const requests: Request[] = [];

export function openPage({ jupyter = true, extension = true, server }: PageOptions = {}): void {
  hub = new Hub();
  HubSocket.all = [];
  requests.length = 0;
  refusing.clear();
  globalThis.WebSocket = HubSocket as unknown as typeof WebSocket;
  globalThis.fetch = async (input, init) => {
    const request = new Request(input, init);
    requests.push(request);
    if (!extension) return new Response("", { status: 404 });
    if (request.url.endsWith("/health")) return Response.json({ status: "ok", server });
    return Response.json({ ticket: "bought", expires_in: 60, url: "http://inside/" }, { status: 201 });
  };
  if (!jupyter) return;
  const config = document.createElement("script");
  config.id = "jupyter-config-data";
  config.type = "application/json";
  config.textContent = JSON.stringify({ baseUrl: "/user/ada/", token: "secret" });
  document.body.append(config);
}

export function sockets(): HubSocket[] {
  return HubSocket.all;
}

/** End every session at once, as leaving the page does, and put the browser's own parts back. */
export function closePage(): void {
  for (const view of views.splice(0)) view.close();
  for (const guest of guests.splice(0)) guest.lifetime.finish();
  dispatchEvent(new Event("pagehide"));
  globalThis.WebSocket = RealWebSocket;
  globalThis.fetch = realFetch;
  document.body.replaceChildren();
}

export const state = (view: View) => view.room.dataset.state;
export const find = (view: View, selector: string) => view.el.querySelector<HTMLElement>(selector);
export const button = (view: View, name: string) => {
  const found = [...view.el.querySelectorAll("button")].find(({ textContent }) => textContent === name);
  if (!found) throw new Error(`there is no button ${name}`);
  return found;
};

export async function joined(view: View): Promise<void> {
  await expect.poll(() => state(view), { interval: 5 }).toBe("joined");
}

/** The browser asks its person for the camera until `allow` is called; what it gave then. */
export function askingForPermission(): { tracks: MediaStreamTrack[]; allow: () => void } {
  const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  let allow: () => void = () => undefined;
  const asked = new Promise<void>((resolve) => {
    allow = resolve;
  });
  const tracks: MediaStreamTrack[] = [];
  vi.spyOn(navigator.mediaDevices, "getUserMedia").mockImplementation(async (constraints) => {
    await asked;
    const stream = await real(constraints);
    tracks.push(...stream.getTracks());
    return stream;
  });
  return { tracks, allow: () => allow() };
}
