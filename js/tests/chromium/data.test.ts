/** The section of the widget that shows a room's data: what is seen, by whom kernels are asked, with kernels in memory. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import "../../src/widget.css";
import { Overview } from "../../src/overview";
import type { Participant } from "../../src/protocol";
import type { Session } from "../../src/session";
import { DataSection } from "../../src/view/data";
import { Visibility } from "../../src/view/visibility";
import { FakeKernel, gone, item, message, picture } from "../node/overview_kernel";
import { closePage, fakeModel, invite, openPage, show } from "./room";

const now = () => Date.now() / 1000;
const array = (dtype: string, shape: number[]) => ({ value: { kind: "array", dtype, shape, time: 1 } });

/** A section in a page of its own, and the room that it shows. */
class Page {
  readonly kernels: FakeKernel[] = [];
  people: Participant[] = [];
  peerState = "connected";
  readonly overview = new Overview({
    others: () => this.others,
    link: (id) => this.kernels.find((kernel) => kernel.id === id)?.link ?? null,
    needData: () => () => undefined,
  });
  readonly el = document.createElement("div");
  readonly #gone = new AbortController();
  readonly #section = new DataSection(new Visibility(this.#gone.signal));

  constructor(width = 800) {
    this.el.className = "forge-rtc-room";
    this.el.style.width = `${width}px`;
    this.el.append(this.#section.root);
    document.body.append(this.el);
    this.update();
  }

  get others(): Participant[] {
    return [...this.kernels.map(({ participant }) => participant), ...this.people];
  }

  get root(): HTMLElement {
    return this.#section.root;
  }

  get toggle(): HTMLButtonElement {
    return this.find("[aria-expanded]") as HTMLButtonElement;
  }

  /** The text of each row's parts, also of those for screen readers only. */
  get rows(): string[] {
    return [...this.el.querySelectorAll<HTMLElement>(".forge-rtc-datum")].map((row) =>
      row.innerText.split(/\s*\n\s*/).join(" | "),
    );
  }

  find(selector: string): HTMLElement | null {
    return this.el.querySelector<HTMLElement>(selector);
  }

  row(name: string): HTMLElement {
    const row = this.find(`[data-name="${name}"]`);
    if (!row) throw new Error(`there is no row ${name}`);
    return row;
  }

  invite(id = "Python", record: Partial<Participant> = { shared: true }): FakeKernel {
    const kernel = new FakeKernel(id, record);
    this.kernels.push(kernel);
    this.update();
    return kernel;
  }

  /** Somebody's record has changed. */
  update(): void {
    const me = { id: "me", name: "Ada", kind: "browser", user: "ada" };
    const { overview, others } = this;
    const session = { overview, others, me, channels: [], peerState: () => this.peerState };
    overview.refresh();
    this.#session = Object.assign(this.#session ?? session, { others }) as unknown as Session;
    this.#section.update(this.#session);
  }
  #session: Session | null = null;

  close(): void {
    this.#section.close();
    this.#gone.abort();
    this.overview.end();
    for (const kernel of this.kernels) kernel.leave();
    this.el.remove();
  }
}

let page: Page;
const open = (width?: number) => {
  page?.close();
  page = new Page(width);
};
beforeEach(() => open());
afterEach(() => page.close());

async function opened(kernel: FakeKernel): Promise<void> {
  page.toggle.click();
  await expect.poll(() => kernel.isOpen, { interval: 5 }).toBe(true);
}

describe("the line", () => {
  test("is not there where there is no data", () => {
    expect(page.root.hidden).toBe(true);
    page.invite("Python", { shared: false });
    expect(page.root.hidden).toBe(true);
  });

  test("says how much there is, as far as it is known while it is closed", async () => {
    const kernel = page.invite("Python", { channels: [{ name: "a" }, { name: "b" }], shared: true });
    page.people = [{ id: "p", name: "Emmy", kind: "browser", user: "emmy", channels: [{ name: "a" }] }];
    page.update();
    expect(page.root.innerText).toMatch(/^\s*Data\s+2 channels, shared values\s*$/);
    await opened(kernel);
    kernel.say(item("w"));
    await expect.poll(() => page.root.innerText).toContain("2 channels, 1 shared value");
    page.toggle.click();
    expect(page.root.innerText).toContain("2 channels, shared values");
    expect(page.rows).toEqual([]);
  });

  test("does not say that there is nothing before a kernel can tell", async () => {
    page.peerState = "connecting";
    const kernel = page.invite("Python", { channels: [{ name: "a" }], shared: true });
    await opened(kernel);
    expect(page.root.innerText).toContain("1 channel, shared values");
    expect(page.rows).toEqual(["channel | a | 1 | open in Python | Connecting…"]);
    page.peerState = "connected";
    kernel.record = { shared: true };
    page.update();
    expect(page.root.innerText).toContain("no shared values");
  });

  test("is a button that says whether it is open, also after the room has changed", async () => {
    const kernel = page.invite();
    expect([page.toggle.type, page.toggle.tabIndex]).toEqual(["button", 0]);
    expect(page.toggle.getAttribute("aria-expanded")).toBe("false");
    await opened(kernel);
    page.invite("another");
    expect(page.toggle.getAttribute("aria-expanded")).toBe("true");
    page.toggle.click();
    expect(page.toggle.getAttribute("aria-expanded")).toBe("false");
  });

  test("is in the widget, for channels that pages have open", async () => {
    openPage();
    try {
      const ada = invite("Ada");
      const view = show(fakeModel());
      const section = () => view.el.querySelector<HTMLElement>(".forge-rtc-data");
      await expect.poll(() => view.room.dataset.state).toBe("joined");
      expect(section()?.hidden).toBe(true);
      const channel = await ada.openChannel("spectra");
      await expect.poll(() => section()?.innerText).toMatch(/Data\s+1 channel$/);
      section()?.querySelector("button")?.click();
      await expect.poll(() => section()?.innerText).toContain("no message of a kernel yet");
      expect(section()?.querySelector<HTMLElement>(".forge-rtc-datum-open")?.title).toBe("Open in Ada");
      channel.close();
      await expect.poll(() => section()?.hidden).toBe(true);
    } finally {
      closePage();
    }
  });
});

describe("nothing flows", () => {
  test("before it is opened, and after it is closed", async () => {
    const kernel = page.invite();
    await new Promise(requestAnimationFrame);
    expect(kernel.count).toBe(0);
    await opened(kernel);
    page.toggle.click();
    await expect.poll(() => kernel.isOpen).toBe(false);
  });

  test("while it is out of sight; what was there is there at once when it is back", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("w"));
    await expect.poll(() => page.rows.length).toBe(1);
    page.el.style.marginTop = "9999px";
    await expect.poll(() => kernel.isOpen, { timeout: 5_000 }).toBe(false);
    kernel.beginAnew();
    page.el.style.marginTop = "";
    expect(page.rows.length).toBe(1);
    await expect.poll(() => kernel.isOpen, { timeout: 5_000 }).toBe(true);
    await expect.poll(() => page.rows.length, { timeout: 10_000 }).toBe(0);
  });

  test("when the view is closed", async () => {
    const kernel = page.invite();
    await opened(kernel);
    page.close();
    await expect.poll(() => kernel.isOpen).toBe(false);
  });
});

describe("a row", () => {
  test("says what it is, how large, how old, whose", async () => {
    const kernel = page.invite("k", { channels: [{ name: "field" }, { name: "new" }], shared: true });
    page.people = [{ id: "p", name: "Emmy", kind: "browser", user: "emmy", channels: [{ name: "field" }] }];
    page.update();
    await opened(kernel);
    kernel.say(message("field", { ...array("<f8", [1024, 1024]), size: 8 * 2 ** 20, time: now() - 185 }));
    kernel.say(item("w", { time: now() }));
    kernel.say(item("old", { time: now() - 7200, writer: "somebody else" }));
    await expect
      .poll(() => page.rows)
      .toEqual([
        "channel | field | 2 | open in k, Emmy | (1024, 1024) float64 | 8 MiB | 3 min | k",
        "channel | new | 1 | open in k | no message yet",
        "shared value | old | text | 4 B | 2 h | left the room",
        "shared value | w | text | 4 B | now | k",
      ]);
    expect(page.row("field").querySelector<HTMLElement>(".forge-rtc-datum-open")?.title).toBe(
      "Open in k, Emmy",
    );
    expect(page.row("field").querySelector<HTMLElement>(".forge-rtc-datum-size")?.title).toBe(
      "8,388,608 bytes",
    );
  });

  test("grows older by itself, and is new again with what is new", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("w", { time: now() - 10 }));
    const age = () => page.find("time")?.textContent;
    await expect.poll(age).toMatch(/^1\d s$/);
    const earlier = age();
    await expect.poll(age, { timeout: 5_000 }).not.toBe(earlier);
    expect(age()).toMatch(/^1\d s$/);
    kernel.say(item("w", { time: now() }));
    await expect.poll(age).toBe("now");
  });

  test("goes with its key", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("a"));
    kernel.say(item("b"));
    await expect.poll(() => page.rows.length).toBe(2);
    kernel.say(gone("a"));
    await expect.poll(() => page.rows.length).toBe(1);
    expect(page.row("b")).not.toBeNull();
  });

  test("of any name is text", async () => {
    const name = "<img src=x onerror='window.hacked = 1'><b>bold</b>";
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item(name));
    await expect.poll(() => page.rows[0]).toContain(name);
    expect(page.find("img, b")).toBeNull();
  });

  test("stays the same element when it has news", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("w"));
    await expect.poll(() => page.rows.length).toBe(1);
    const row = page.row("w");
    kernel.say(item("w", { size: 9 }));
    await expect.poll(() => page.rows[0]).toContain("9 B");
    expect(page.row("w")).toBe(row);
  });
});

describe("a preview", () => {
  const pixels = (name: string) => {
    const canvas = page.row(name).querySelector("canvas");
    if (!canvas) return [];
    return [...(canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data ?? [])];
  };

  test("of an array is a picture in its colours, or in gray", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("rgb", picture([1, 2, 3])), Uint8Array.of(255, 0, 7, 1, 2, 3));
    kernel.say(item("gray", picture([2, 1])), Uint8Array.of(0, 200));
    await expect.poll(() => page.rows.length).toBe(2);
    expect(pixels("rgb")).toEqual([255, 0, 7, 255, 1, 2, 3, 255]);
    expect(pixels("gray")).toEqual([0, 0, 0, 255, 200, 200, 200, 255]);
    const canvas = page.row("rgb").querySelector("canvas") as HTMLCanvasElement;
    expect(getComputedStyle(canvas).imageRendering).toBe("pixelated");
    expect(canvas.getBoundingClientRect().height).toBeGreaterThan(30);
  });

  test("of one dimension is a line in the theme's colour", async () => {
    page.el.style.setProperty("--jp-brand-color1", "rgb(1, 2, 3)");
    const kernel = page.invite();
    await opened(kernel);
    const line = Float32Array.of(0, 1, Number.NaN, 0.5);
    kernel.say(
      item("line", picture([4], "<f4")),
      new Uint8Array(line.buffer, line.byteOffset, line.byteLength),
    );
    await expect
      .poll(() => page.find(".forge-rtc-line path")?.getAttribute("d"))
      .toMatch(/^M0 61.*L.*M128 32/);
    const path = page.find(".forge-rtc-line path") as HTMLElement;
    expect(getComputedStyle(path).stroke).toBe("rgb(1, 2, 3)");
    expect(page.find(".forge-rtc-line")?.getBoundingClientRect().width).toBeGreaterThan(60);
  });

  test("is replaced by the next, and is not there where there is none", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("a", picture([1, 1])), Uint8Array.of(50));
    await expect.poll(() => pixels("a")).toEqual([50, 50, 50, 255]);
    kernel.say(item("a", picture([1, 1])), Uint8Array.of(60));
    await expect.poll(() => pixels("a")).toEqual([60, 60, 60, 255]);
    kernel.say(item("a"));
    await expect.poll(() => page.row("a").querySelector("button")?.hidden).toBe(true);
  });

  test("is large while it is pressed, also when there are news", async () => {
    const kernel = page.invite();
    await opened(kernel);
    kernel.say(item("a", picture([1, 1])), Uint8Array.of(50));
    await expect.poll(() => pixels("a").length).toBe(4);
    const preview = page.row("a").querySelector("button") as HTMLButtonElement;
    expect(preview.getAttribute("aria-label")).toBe("Preview of a");
    preview.click();
    expect(preview.getAttribute("aria-pressed")).toBe("true");
    expect(preview.getBoundingClientRect().height).toBeGreaterThan(150);
    kernel.say(item("a", picture([1, 1])), Uint8Array.of(60));
    await expect.poll(() => pixels("a")).toEqual([60, 60, 60, 255]);
    expect(preview.getBoundingClientRect().height).toBeGreaterThan(150);
    preview.click();
    expect(preview.getBoundingClientRect().height).toBeLessThan(60);
  });
});

describe("many rows", () => {
  test("come a hundred at a time", async () => {
    const kernel = page.invite();
    await opened(kernel);
    for (let i = 0; i < 250; i++) kernel.say(item(`key ${String(i).padStart(3, "0")}`));
    await expect.poll(() => page.root.innerText, { timeout: 5_000 }).toContain("250 shared values");
    expect(page.rows.length).toBe(100);
    const more = page.find(".forge-rtc-data-more") as HTMLButtonElement;
    expect(more.textContent).toBe("Show more: 150 are left");
    more.click();
    expect(page.rows.length).toBe(200);
    more.focus();
    more.click();
    expect([page.rows.length, more.hidden]).toEqual([250, true]);
    expect(document.activeElement?.className).toBe("forge-rtc-data-list");
  });

  test.each([280, 500, 900])("scroll in a small room, and nothing sticks out at %i px", async (width) => {
    open(width);
    const long = "a name that is so long that it goes on and on and on, to the 64th";
    const channels = [{ name: long }];
    const kernel = page.invite("Python of somebody with quite a long name", { channels, shared: true });
    page.people = Array.from({ length: 11 }, (_, i) => ({
      id: `p${i}`,
      name: `Somebody with a long name ${i}`,
      kind: "browser",
      user: "p",
      channels,
    }));
    page.update();
    await opened(kernel);
    const shape = Array.from({ length: 20 }, () => 1);
    const writer = kernel.id;
    kernel.say(message(long.slice(0, 64), { ...array("<c16", shape), size: 16, writer }));
    for (let i = 0; i < 30; i++)
      kernel.say(item(`${i}${"x".repeat(200)}`, { ...picture([1, 1]), writer }), Uint8Array.of(i));
    await expect.poll(() => page.rows.length).toBe(31);
    const list = page.find(".forge-rtc-data-list") as HTMLElement;
    expect(list.clientHeight).toBeLessThan(340);
    expect(list.scrollHeight).toBeGreaterThan(list.clientHeight);
    expect(list.scrollWidth).toBe(list.clientWidth);
    expect(list.tabIndex).toBe(0);
    const out = [...page.el.querySelectorAll("*")].filter(
      (part) => part.getBoundingClientRect().right > page.el.getBoundingClientRect().right + 0.5,
    );
    expect(out.map(({ className }) => String(className))).toEqual([]);
  });
});
