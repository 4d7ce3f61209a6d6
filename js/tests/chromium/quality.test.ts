/** The menu for the camera's size and rate, in a page. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import "../../src/widget.css";
import { askingForPermission, button, closePage, find, joined, openPage, show, type View } from "./room";

beforeEach(() => openPage());
afterEach(() => closePage());

const menu = (view: View) => find(view, ".forge-rtc-quality") as HTMLSelectElement;

function choose(view: View, quality: string): void {
  menu(view).value = quality;
  menu(view).dispatchEvent(new Event("change"));
}

test("a size chosen while the browser still asks is the camera's", async () => {
  const { tracks, allow } = askingForPermission();
  const view = show();
  await joined(view);
  button(view, "Camera").click();
  await expect.poll(() => button(view, "Camera").getAttribute("aria-busy")).toBe("true");
  choose(view, "360p15");
  allow();
  await expect.poll(() => tracks[0]?.getSettings()).toMatchObject({ width: 640, height: 360, frameRate: 15 });
  expect(menu(view).value).toBe("360p15");
});

test("a size that the camera refuses is said, and the menu shows what there is", async () => {
  const refused = new DOMException("too large", "OverconstrainedError");
  const view = show();
  await joined(view);
  button(view, "Camera").click();
  await expect.poll(() => find(view, ".forge-rtc-local[data-live]")).not.toBeNull();
  vi.spyOn(MediaStreamTrack.prototype, "applyConstraints").mockRejectedValue(refused);
  choose(view, "1080p30");
  await expect
    .poll(() => find(view, "[role=alert]")?.textContent)
    .toMatch(/does not take that size.*too large/);
  expect(menu(view).value).toBe("720p30");
});
