/** The whole widget in a page: what a person sees and does, with a hub for a server. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import "../../src/widget.css";
import {
  askingForPermission,
  button,
  closePage,
  fakeModel,
  find,
  invite,
  joined,
  openPage,
  requests,
  show,
  sockets,
  state,
} from "./room";

beforeEach(() => openPage());
afterEach(() => {
  closePage();
  vi.useRealTimers();
});

describe("joining", () => {
  test("shows the room and who is there", async () => {
    invite("kernel:Python");
    const view = show();
    await joined(view);
    expect(find(view, ".forge-rtc-header")?.textContent).toContain("In the room");
    const people = [...view.el.querySelectorAll<HTMLElement>(".forge-rtc-person")];
    expect(people.map(({ dataset }) => [dataset.kind, dataset.state])).toEqual([
      ["browser", "connected"],
      ["kernel", "connected"],
    ]);
  });

  test("two views share one session; a cell that is run again finds it", async () => {
    const first = show();
    await joined(first);
    const second = show(fakeModel({ kernel_id: "k2" }));
    await joined(second);
    first.close();
    second.close();
    const third = show();
    await joined(third);
    expect(third.room.dataset.participantId).toBe(first.room.dataset.participantId);
    expect(sockets().length).toBe(1);
  });

  test("credentials go into headers only", async () => {
    const view = show();
    await joined(view);
    expect(requests.map(({ url }) => new URL(url).pathname)).toEqual(["/user/ada/forge-rtc/api/health"]);
    expect(requests[0]?.headers.get("Authorization")).toBe("token secret");
    expect(
      sockets()
        .map(({ url }) => url)
        .join(),
    ).not.toMatch(/secret|ticket|token/);
    expect(sockets()[0]?.url).toMatch(/^ws:.*\/user\/ada\/forge-rtc\/ws\/webrtc\?room=r$/);
  });

  test("leaves, with everything off, some seconds after the last view is gone", async () => {
    const other = invite("Ada");
    const model = fakeModel();
    const view = show(model);
    await joined(view);
    button(view, "Camera").click();
    await expect.poll(() => other.others[0]?.streams?.length).toBe(1);
    const video = find(view, ".forge-rtc-local video") as HTMLVideoElement;
    const track = (video.srcObject as MediaStream).getTracks()[0];
    view.close();
    expect(track?.readyState).toBe("live"); // the cell may be run again
    await expect.poll(() => other.others.length, { timeout: 5_000 }).toBe(0);
    expect(track?.readyState).toBe("ended");
    expect(model.listening()).toBe(0);
  });

  test("a page that goes away leaves at once", async () => {
    const other = invite("Ada");
    const view = show();
    await joined(view);
    await expect.poll(() => other.others.length).toBe(1);
    dispatchEvent(new Event("pagehide"));
    await expect.poll(() => other.others.length).toBe(0);
    expect(state(view)).toBe("left");
    button(view, "Join again").click();
    await joined(view);
  });
});

test("nothing stays behind after many rooms", async () => {
  const made: RTCPeerConnection[] = [];
  const Real = globalThis.RTCPeerConnection;
  class Counted extends Real {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      made.push(this);
    }
  }
  vi.stubGlobal("RTCPeerConnection", Counted);
  const models = Array.from({ length: 10 }, () => fakeModel());
  for (const model of models) {
    const other = invite("Ada");
    const view = show(model);
    await joined(view);
    await other.media.switchOn("camera");
    await expect
      .poll(() => find(view, ".forge-rtc-tile[data-stream]")?.hasAttribute("data-live"), { timeout: 5_000 })
      .toBe(true);
    view.close();
    dispatchEvent(new Event("pagehide"));
  }
  vi.unstubAllGlobals();
  expect(made.length).toBe(20);
  expect(made.filter(({ connectionState }) => connectionState !== "closed")).toEqual([]);
  expect(sockets().filter(({ readyState }) => readyState !== 3)).toEqual([]);
  expect(document.querySelectorAll("video, audio").length).toBe(0);
  expect(models.map((model) => model.listening()).every((count) => count === 0)).toBe(true);
  const registry = (globalThis as Record<symbol, unknown>)[Symbol.for("forge_rtc_nb")];
  expect(registry).toEqual(new Map());
});

describe("a kernel that needs the page, or a page that needs the kernel", () => {
  test("a page without Jupyter asks the kernel for a ticket, and joins with it", async () => {
    closePage();
    openPage({ jupyter: false });
    const model = fakeModel();
    const view = show(model);
    await expect.poll(() => model.sent).toEqual([{ type: "ticket.request" }]);
    expect(find(view, ".forge-rtc-detail")?.textContent).toMatch(/Asking the kernel/);
    model.say({ type: "ticket", url: "http://elsewhere:8888/base", ticket: "Ada" });
    await joined(view);
    expect(sockets()[0]?.url).toBe("ws://elsewhere:8888/base/forge-rtc/ws/webrtc?room=r");
    expect(find(view, ".forge-rtc-person")?.textContent).toContain("Ada");
  });

  test("a refusal is an error with its reason, and can be tried again", async () => {
    closePage();
    openPage({ extension: false });
    const model = fakeModel();
    const view = show(model);
    await expect.poll(() => model.sent.length).toBe(1);
    model.say({ type: "ticket.refused", message: "no server was found" });
    await expect.poll(() => state(view)).toBe("error");
    expect(find(view, ".forge-rtc-error")?.textContent).toContain("no server was found.");
    button(view, "Try again").click();
    await expect.poll(() => model.sent.length).toBe(2);
    model.say({ type: "ticket", url: "http://elsewhere/", ticket: "Ada" });
    await joined(view);
  });

  test("a waiting kernel gets a ticket from the page, once", async () => {
    const model = fakeModel({ status: "waiting", kernel_id: "" });
    const view = show(model);
    await expect.poll(() => state(view)).toBe("waiting");
    const offers = () => model.sent.filter(({ type }) => type === "ticket.offer");
    await expect.poll(() => offers().length).toBe(1);
    expect(offers()[0]).toMatchObject({ ticket: "bought", url: "http://inside/" });
    expect(offers()[0]?.browser_url).toMatch(/\/user\/ada\/$/);
    model.put("detail", "still waiting");
    model.put("status", "joined");
    await joined(view);
    expect(offers().length).toBe(1);
  });

  test("a kernel whose ticket was refused says why, and gets fresh ones until it is in", async () => {
    const model = fakeModel({ status: "waiting", kernel_id: "" });
    const view = show(model);
    const offers = () => model.sent.filter(({ type }) => type === "ticket.offer").length;
    await expect.poll(offers).toBe(1);
    model.put("detail", "the server refused this notebook");
    model.say({ type: "offer.refused" });
    await expect.poll(() => find(view, ".forge-rtc-detail")?.textContent).toContain("refused this notebook");
    await expect.poll(offers, { timeout: 5_000 }).toBe(2);
    model.put("status", "joined");
    model.put("detail", "");
    model.say({ type: "offer.refused" });
    await joined(view);
    expect(offers()).toBe(2);
  });

  test("a kernel that leaves takes its widget out of the room", async () => {
    const model = fakeModel();
    const view = show(model);
    await joined(view);
    model.put("status", "left");
    expect(state(view)).toBe("left");
    expect(view.el.querySelectorAll(".forge-rtc-person").length).toBe(0);
    expect(button(view, "Camera").getAttribute("aria-disabled")).toBe("true");
  });

  test("a kernel in trouble says so in its words, and the tab stays", async () => {
    const model = fakeModel();
    const view = show(model);
    await joined(view);
    model.put("detail", "The engine died");
    model.put("status", "error");
    expect(state(view)).toBe("error");
    expect(find(view, "[role=alert]")?.textContent).toContain("The engine died.");
    expect(view.el.querySelectorAll(".forge-rtc-person").length).toBe(1);
  });
});

describe("the camera", () => {
  test("is off until it is clicked, and then seen by whoever looks", async () => {
    const other = invite("Ada");
    const view = show();
    await joined(view);
    const camera = button(view, "Camera");
    expect(camera.getAttribute("aria-pressed")).toBe("false");
    camera.click();
    await expect.poll(() => find(view, ".forge-rtc-local")?.hasAttribute("data-live")).toBe(true);
    expect(camera.getAttribute("aria-pressed")).toBe("true");
    const me = other.others[0];
    const stream = me?.streams?.[0];
    expect(stream).toMatchObject({ source: "camera", kind: "video" });
    expect(stream?.id).toMatch(/^camera-[0-9a-f]{8}$/);
    const stop = other.watch(me?.id ?? "", stream?.id ?? "");
    await expect
      .poll(() => other.arrived(me?.id ?? "", stream?.id ?? "") !== null, { timeout: 5_000 })
      .toBe(true);
    stop();
    camera.click();
    await expect.poll(() => other.others[0]?.streams ?? []).toEqual([]);
  });

  test("of somebody else appears in their tile while it can be seen", async () => {
    const other = invite("Ada");
    const view = show();
    await joined(view);
    await other.media.switchOn("camera");
    await expect
      .poll(() => find(view, ".forge-rtc-tile[data-stream]")?.hasAttribute("data-live"), { timeout: 5_000 })
      .toBe(true);
    const pc = () => other.connection(view.room.dataset.participantId ?? "");
    expect(pc()?.getSenders()[0]?.track).not.toBeNull();
    view.el.style.display = "none"; // as a notebook tab that is not in front
    await expect.poll(() => pc()?.getSenders()[0]?.track, { timeout: 5_000 }).toBeNull();
    view.el.style.display = "";
    await expect.poll(() => pc()?.getSenders()[0]?.track, { timeout: 5_000 }).not.toBeNull();
  });

  test.each([
    ["NotAllowedError", /does not let this page use the camera/, /allow the camera/],
    ["NotFoundError", /No camera was found/, /Plug one in/],
    ["NotReadableError", /could not be started/, /Another program/],
    ["OverconstrainedError", /not there any more/, /Choose another/],
  ])("%s is explained, and can be dismissed", async (name, what, advice) => {
    vi.spyOn(navigator.mediaDevices, "getUserMedia").mockRejectedValue(new DOMException("no", name));
    const view = show();
    await joined(view);
    button(view, "Camera").click();
    await expect.poll(() => find(view, "[role=alert]")?.textContent).toMatch(what);
    expect(find(view, ".forge-rtc-error")?.textContent).toMatch(advice);
    expect(button(view, "Camera").getAttribute("aria-pressed")).toBe("false");
    find(view, ".forge-rtc-dismiss")?.click();
    await expect.poll(() => find(view, ".forge-rtc-error")).toBeNull();
  });

  test("on an insecure page the reason is said, and nothing breaks", async () => {
    vi.spyOn(navigator, "mediaDevices", "get").mockReturnValue(undefined as never);
    const view = show();
    await joined(view);
    button(view, "Camera").click();
    await expect.poll(() => find(view, ".forge-rtc-error")?.textContent).toMatch(/https.*localhost/);
  });

  test("clicked off while the browser still asks stays off", async () => {
    const { tracks, allow } = askingForPermission();
    const view = show();
    await joined(view);
    const camera = button(view, "Camera");
    camera.click();
    await expect.poll(() => camera.getAttribute("aria-busy")).toBe("true");
    camera.click();
    allow();
    await expect.poll(() => tracks.map(({ readyState }) => readyState)).toEqual(["ended"]);
    expect(camera.getAttribute("aria-pressed")).toBe("false");
  });
});

describe("the keyboard", () => {
  /** Whether JupyterLab would leave this key to the widget. */
  function staysHere(target: Element, key: string, modifiers: KeyboardEventInit = {}): boolean {
    let kept = false;
    const lumino = (event: KeyboardEvent) => {
      kept = (event.target as Element).hasAttribute("data-lm-suppress-shortcuts");
    };
    document.addEventListener("keydown", lumino, { capture: true, once: true });
    target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, ...modifiers }));
    return kept;
  }

  test("works the controls; what has a modifier, or is typed elsewhere, is the notebook's", async () => {
    const view = show();
    await joined(view);
    const camera = button(view, "Camera");
    expect(staysHere(camera, "Enter")).toBe(true);
    expect(staysHere(camera, " ")).toBe(true);
    expect(staysHere(find(view, "select") as Element, "ArrowDown")).toBe(true);
    expect(staysHere(camera, "Enter", { shiftKey: true })).toBe(false); // runs the cell
    expect(staysHere(camera, "s", { ctrlKey: true })).toBe(false);
    expect(staysHere(document.body, "Enter")).toBe(false);
  });
});

describe("what others are called", () => {
  test("a name is never markup", async () => {
    invite('<img src=x onerror="window.hacked = true"><b>bold</b>');
    const view = show();
    await joined(view);
    await expect.poll(() => view.el.querySelectorAll(".forge-rtc-person").length).toBe(2);
    expect(view.el.querySelector("img, b")).toBeNull();
    expect(find(view, ".forge-rtc-tile[data-participant]")?.textContent).toContain("<img src=x");
  });
});

describe("layout", () => {
  test.each([280, 500, 900])("nothing sticks out at %i px, with twelve people", async (width) => {
    for (let i = 0; i < 11; i++) invite(`Somebody with a long name ${i}`);
    const view = show(fakeModel({ room_id: "r" }), width);
    await joined(view);
    await expect.poll(() => view.el.querySelectorAll(".forge-rtc-tile").length).toBe(12);
    const right = view.room.getBoundingClientRect().right;
    const out = [...view.room.querySelectorAll("*")].filter(
      (part) => part.getBoundingClientRect().right > right + 0.5,
    );
    expect(out.map(({ className }) => String(className))).toEqual([]);
  });

  test("a camera that comes on moves nothing", async () => {
    const other = invite("Ada");
    const view = show();
    await joined(view);
    await expect.poll(() => view.el.querySelectorAll(".forge-rtc-tile").length).toBe(2);
    const before = view.room.getBoundingClientRect().height;
    await other.media.switchOn("camera");
    await expect
      .poll(() => find(view, ".forge-rtc-tile[data-stream]")?.hasAttribute("data-live"), { timeout: 5_000 })
      .toBe(true);
    expect(view.room.getBoundingClientRect().height).toBe(before);
  });

  test("every control is a button or a menu with a name", async () => {
    const view = show();
    await joined(view);
    for (const control of view.el.querySelectorAll<HTMLElement>("button:not([hidden]), select")) {
      expect(control.getAttribute("aria-label") ?? control.textContent, control.className).not.toBe("");
      expect(control.tabIndex).toBe(0);
    }
  });
});
