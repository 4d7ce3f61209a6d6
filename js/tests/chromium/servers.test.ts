/** Which server a widget joins: the page's own or the kernel's, which may be another one. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  closePage,
  fakeModel,
  type Model,
  openPage,
  refusing,
  requests,
  show,
  sockets,
  type View,
} from "./room";

const ELSEWHERE = { type: "ticket", url: "http://elsewhere:8889/base", ticket: "Ada" };
const SOCKET = "ws://elsewhere:8889/base/forge-rtc/ws/webrtc?room=r";

beforeEach(() => openPage({ server: "page" }));
afterEach(() => closePage());

const state = (view: View) => view.room.dataset.state;
const urls = () => sockets().map(({ url }) => url);
const banner = (view: View) => view.el.querySelector(".forge-rtc-error");

async function joined(view: View): Promise<void> {
  await expect.poll(() => state(view), { interval: 5 }).toBe("joined");
}

async function asked(model: Model, times = 1): Promise<void> {
  const requested = () => model.sent.filter(({ type }) => type === "ticket.request").length;
  await expect.poll(requested, { interval: 5 }).toBe(times);
}

/** A widget whose kernel is in a room of the other server. */
async function elsewhere(traits: Record<string, string> = {}) {
  const model = fakeModel({ server_id: "other", ...traits });
  const view = show(model);
  await asked(model);
  return { model, view };
}

describe("the page's own server", () => {
  test.each([["page"], [""]])("is taken where the kernel's is %j", async (server_id) => {
    const model = fakeModel({ server_id });
    const view = show(model);
    await joined(view);
    expect(urls()).toEqual([expect.stringMatching(/\/user\/ada\/forge-rtc\/ws\/webrtc\?room=r$/)]);
    expect(model.sent).toEqual([]);
  });

  test("stays where a waiting kernel comes into it", async () => {
    const model = fakeModel({ status: "waiting", kernel_id: "" });
    const view = show(model);
    await expect.poll(() => state(view)).toBe("waiting");
    model.put("server_id", "page");
    model.put("status", "joined");
    await joined(view);
    expect(urls().length).toBe(1);
    expect(requests.filter(({ url }) => url.endsWith("/health")).length).toBe(1);
  });

  test.each(["other", undefined])("is not taken for the kernel's where its id is %j", async (server) => {
    closePage();
    openPage({ server });
    const { model, view } = await elsewhere({ server_id: "kernel's" });
    expect(urls()).toEqual([]);
    model.say(ELSEWHERE);
    await joined(view);
    expect(urls()).toEqual([SOCKET]);
  });
});

describe("another server", () => {
  test("is one, whatever address each kernel knows it by; the page's room of that name is another", async () => {
    const first = await elsewhere();
    first.model.say(ELSEWHERE);
    await joined(first.view);
    const second = await elsewhere({ kernel_id: "k2" });
    second.model.say({ ...ELSEWHERE, url: "http://127.0.0.2:8889/base/" });
    await joined(second.view);
    expect(second.view.room.dataset.participantId).toBe(first.view.room.dataset.participantId);
    const own = show(fakeModel({ server_id: "page" }));
    await joined(own);
    expect(own.room.dataset.participantId).not.toBe(first.view.room.dataset.participantId);
    expect(urls().length).toBe(2);
  });

  test("is gone to when the kernel turns out to be there, and the page's room is left", async () => {
    const model = fakeModel({ status: "waiting", kernel_id: "" });
    const view = show(model);
    await expect.poll(() => state(view)).toBe("waiting");
    model.put("server_id", "other");
    await asked(model);
    model.say(ELSEWHERE);
    model.put("status", "joined");
    await joined(view);
    expect(urls()[1]).toBe(SOCKET);
    await expect.poll(() => sockets()[0]?.readyState, { timeout: 5_000 }).toBe(3);
    expect(sockets()[1]?.readyState).toBe(1);
  });

  test("is looked for again where the first search failed or is not over", async () => {
    const { model, view } = await elsewhere();
    model.put("server_id", "third");
    await asked(model, 2);
    model.say({ type: "ticket.refused", message: "not in the room yet" });
    await expect.poll(() => state(view)).toBe("error");
    model.put("server_id", "page");
    await joined(view);
    expect(urls()).toEqual([expect.stringMatching(/\/user\/ada\//)]);
  });

  test("is not gone to with the answer to a question that is out of date", async () => {
    const { model, view } = await elsewhere();
    model.put("server_id", "third");
    model.say(ELSEWHERE);
    await asked(model, 2);
    model.say({ ...ELSEWHERE, url: "http://third:8890/" });
    await joined(view);
    expect(urls()).toEqual(["ws://third:8890/forge-rtc/ws/webrtc?room=r"]);
  });

  test("that refuses this page is an error, once, that says what to do; the next try asks anew", async () => {
    refusing.add("elsewhere:8889");
    const { model, view } = await elsewhere();
    model.say(ELSEWHERE);
    await expect.poll(() => state(view)).toBe("error");
    expect(banner(view)?.textContent).toContain("on another server, elsewhere:8889,");
    expect(banner(view)?.textContent).toContain("Open the notebook on that server");
    expect(banner(view)?.textContent).toContain(`c.ServerApp.allow_origin = "${location.origin}"`);
    expect(urls()).toEqual([SOCKET]);
    refusing.clear();
    view.el.querySelector<HTMLButtonElement>(".forge-rtc-retry:not([hidden])")?.click();
    await asked(model, 2);
    model.say(ELSEWHERE);
    await joined(view);
    expect(banner(view)).toBeNull();
  });

  test("that this page's own address reaches is tried until it answers", async () => {
    refusing.add(location.host);
    const { model, view } = await elsewhere();
    model.say({ ...ELSEWHERE, url: `${location.origin}/other/` });
    await asked(model, 2);
    expect(state(view)).not.toBe("error");
    refusing.clear();
    model.say({ ...ELSEWHERE, url: `${location.origin}/other/` });
    await joined(view);
  });
});
