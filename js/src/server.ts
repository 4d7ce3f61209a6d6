/** Finds the Jupyter server of the page, or asks the kernel for one, and gets tickets from it; runs in the browser tab.
 *
 * Credentials go in headers, cookies and message bodies only: never in a URL, a synced trait, or storage.
 */

import type { Failure } from "./failure";
import type { Access } from "./signaling";

/** What Jupyter writes into the page (JupyterLab, Notebook 7, JupyterHub). */
export interface PageConfig {
  /** Absolute, ends with a slash. */
  baseUrl: string;
  /** Absolute, ends with a slash. */
  wsUrl: string;
  token: string;
}

export interface Ticket {
  ticket: string;
  url?: string;
}

/** Read `<script id="jupyter-config-data">`, or null on a page that is not Jupyter's own. */
export function readPageConfig(page: Document = document): PageConfig | null {
  const script = page.getElementById("jupyter-config-data");
  if (!script?.textContent) return null;
  try {
    const data: unknown = JSON.parse(script.textContent);
    if (typeof data !== "object" || data === null) return null;
    const { baseUrl, wsUrl, token } = data as Record<string, unknown>;
    const base = withSlash(new URL(typeof baseUrl === "string" ? baseUrl : "/", page.baseURI).href);
    const socket = typeof wsUrl === "string" && wsUrl !== "" ? new URL(wsUrl, base).href : base;
    return {
      baseUrl: base,
      wsUrl: socketBase(socket),
      token: typeof token === "string" ? token : "",
    };
  } catch {
    return null;
  }
}

export function socketBase(url: string): string {
  return withSlash(url.replace(/^http/, "ws"));
}

function withSlash(url: string): string {
  return url.endsWith("/") ? url : `${url}/`;
}

/** The Jupyter server that served this page. */
export class PageServer implements Access {
  readonly #config: PageConfig;

  constructor(config: PageConfig) {
    this.#config = config;
  }

  get key(): string {
    return this.#config.baseUrl;
  }

  socketUrl(room: string): string {
    return socketUrl(this.#config.wsUrl, room);
  }

  /** The server's public id, "" where it names none; null where the extension does not answer. */
  async identify(): Promise<string | null> {
    try {
      const response = await this.#request("health", { method: "GET" });
      if (!response.ok) return null;
      const { server } = (await response.json()) as { server?: unknown };
      return typeof server === "string" ? server : "";
    } catch {
      return null;
    }
  }

  /** The WebSocket carries the cookie, so a ticket is needed only where that was refused. */
  async ticket(room: string, force: boolean): Promise<string | null> {
    return force ? (await this.buy(room, "browser")).ticket : null;
  }

  /** A ticket from the server's REST endpoint. Errors: `Failure`. */
  async buy(room: string, kind: "browser" | "kernel"): Promise<Ticket> {
    const response = await this.#request("tickets", { method: "POST", body: JSON.stringify({ room, kind }) });
    if (!response.ok) {
      const refusal = response.status === 401 || response.status === 403 ? "unauthorized" : "signaling";
      throw failure(refusal, `The Jupyter server refused to let this page in (${response.status}).`);
    }
    return (await response.json()) as Ticket;
  }

  #request(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers({ "Content-Type": "application/json" });
    if (this.#config.token) headers.set("Authorization", `token ${this.#config.token}`);
    const xsrf = readCookie("_xsrf");
    if (xsrf) headers.set("X-XSRFToken", xsrf);
    const url = `${this.#config.baseUrl}forge-rtc/api/${path}`;
    return fetch(url, { ...init, headers, credentials: "same-origin", cache: "no-store" });
  }
}

/** A server that lets this page in by tickets only: the kernel gives them through the widget's comm, or a token buys them. */
export class TicketServer implements Access {
  readonly #ask: () => Promise<Required<Ticket>>;
  readonly #url: URL;
  #next: Required<Ticket> | null;
  /** Its id where that is known: kernels may know one server by several addresses. */
  readonly key: string;

  constructor(first: Required<Ticket>, ask: () => Promise<Required<Ticket>>, id: string) {
    this.#url = new URL(withSlash(first.url));
    this.key = id || this.#url.href;
    this.#next = first;
    this.#ask = ask;
  }

  socketUrl(room: string): string {
    return socketUrl(socketBase(this.#url.href), room);
  }

  /** A page is not told why its socket was refused; from another origin it is most likely for that. */
  unreached(): Failure | null {
    const { host, origin } = this.#url;
    if (origin === location.origin) return null;
    return {
      code: "other-server",
      message: `This room is on another server, ${host}, which this page cannot connect to.`,
      advice:
        "Open the notebook on that server, or have its administrator allow this page's address: " +
        `c.ServerApp.allow_origin = "${location.origin}".`,
    };
  }

  async ticket(): Promise<string> {
    const { ticket } = this.#next ?? (await this.#ask());
    this.#next = null; // a ticket is good for one use
    return ticket;
  }
}

export function failure(code: string, message: string): Failure {
  return { code, message };
}

function socketUrl(base: string, room: string): string {
  return `${base}forge-rtc/ws/webrtc?room=${encodeURIComponent(room)}`;
}

function readCookie(name: string): string {
  for (const part of document.cookie.split(";")) {
    const [key, ...value] = part.trim().split("=");
    if (key === name) return value.join("=");
  }
  return "";
}
