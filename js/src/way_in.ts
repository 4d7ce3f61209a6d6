/** The way into the server that a page's author means; runs in the browser tab.
 *
 * Credentials go in headers and message bodies only, never in a URL.
 */

import { invalidConfig, roomFailure } from "./errors";
import { type Failure, isFailure } from "./failure";
import { failure, PageServer, readPageConfig, socketBase, TicketServer } from "./server";
import type { Access } from "./signaling";

export interface Server {
  /** Base URL of a Jupyter server, as `jupyter server list` prints it; the one that served this page where it is absent. */
  server?: string | undefined;
  /** That server's token; not needed on a page of its own. */
  token?: string | undefined;
  /** A ticket for this room (docs/protocol.md); it is good once, within a minute. */
  ticket?: string | undefined;
}

/** Errors: `RTCError`. */
export async function wayIn(room: string, { server, token = "", ticket }: Server): Promise<Access> {
  const given = server === undefined ? null : parse(server);
  const page = readPageConfig();
  if (!given && token)
    throw invalidConfig('token goes with server: joinRoom(id, { server: "https://…/", token })');
  if (!given && page && ticket === undefined) return new PageServer(page);
  const url = given?.url ?? page?.baseUrl;
  if (url === undefined) throw invalidConfig(`this page is not a Jupyter server's: ${GIVE}`);
  if (ticket !== undefined) return new TicketServer({ ticket, url }, spent, "");
  const shown = { baseUrl: url, wsUrl: socketBase(url), token: token || (given?.token ?? "") };
  if (shown.token) return byToken(room, new PageServer(shown), url);
  if (new URL(url).origin === location.origin) return new PageServer(shown); // the login's cookie is enough
  throw invalidConfig(`the server ${url} is not this page's own: ${GIVE}`);
}

const GIVE = 'joinRoom(id, { server: "https://…/", token }) takes a Jupyter server\'s base URL and its token';

/** Every ticket is bought with the token. */
async function byToken(room: string, server: PageServer, url: string): Promise<Access> {
  const buy = async () => {
    try {
      return { ticket: (await server.buy(room, "browser")).ticket, url };
    } catch (error) {
      throw isFailure(error) ? error : unanswered(url); // fetch says no more than that it failed
    }
  };
  const first = await buy().catch((why: Failure) => Promise.reject(roomFailure(why)));
  return new TicketServer(first, buy, "");
}

/** A ticket is good once. */
async function spent(): Promise<never> {
  throw failure("unauthorized", "The ticket was used already: get another one, and join again with it.");
}

const unanswered = (url: string): Failure => ({
  code: "signaling",
  message: `The Jupyter server ${url} does not answer, or does not let pages of ${location.origin} ask it.`,
  advice: `See that it runs, has forge_rtc_nb enabled, and allows this page: c.ServerApp.allow_origin = "${location.origin}".`,
});

/** The base URL with a slash at its end, and the token that stood in it. What was given is never quoted: it may hold one. */
function parse(server: string): { url: string; token: string } {
  const url = asUrl(server);
  if (!url || !/^https?:$/.test(url.protocol) || url.username) {
    throw invalidConfig(`server is no http:// or https:// URL without a user name: ${GIVE}`);
  }
  const { origin, pathname, searchParams } = url;
  return { url: `${origin}${pathname.replace(/\/*$/, "/")}`, token: searchParams.get("token") ?? "" };
}

function asUrl(text: string): URL | null {
  try {
    return new URL(text, document.baseURI);
  } catch {
    return null;
  }
}
