/** The menu for another device while one is in use, in a page. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import "../../src/widget.css";
import { askingForPermission, button, closePage, find, joined, openPage, show, type View } from "./room";

beforeEach(() => openPage());
afterEach(() => closePage());

const menu = (view: View) => find(view, "[aria-label='Which microphone']") as HTMLSelectElement;
const on = (view: View) => button(view, "Microphone").getAttribute("aria-busy") === null;
const pressed = (view: View) => button(view, "Microphone").getAttribute("aria-pressed");

async function withMicrophone(): Promise<{ view: View; used: string; other: string }> {
  const view = show();
  await joined(view);
  button(view, "Microphone").click();
  await expect.poll(() => on(view) && menu(view).options.length).toBeGreaterThan(1);
  const used = menu(view).value;
  const other = [...menu(view).options].map(({ value }) => value).find((value) => value !== used) ?? "";
  return { view, used, other };
}

function choose(view: View, device: string): void {
  menu(view).value = device;
  menu(view).dispatchEvent(new Event("change"));
}

test("the menu shows the device that is asked for, from the choice on", async () => {
  const { view, other } = await withMicrophone();
  const { allow } = askingForPermission();
  choose(view, other);
  await expect.poll(() => on(view)).toBe(false);
  expect(menu(view).value).toBe(other);
  allow();
  await expect.poll(() => on(view)).toBe(true);
  expect(menu(view).value).toBe(other);
});

test("a device that cannot be used is said, and the one in use stays the choice", async () => {
  const { view, used, other } = await withMicrophone();
  const ask = vi.spyOn(navigator.mediaDevices, "getUserMedia");
  ask.mockRejectedValueOnce(new DOMException("", "NotReadableError"));
  choose(view, other);
  await expect.poll(() => find(view, "[role=alert]")?.textContent).toMatch(/could not be started/);
  expect(menu(view).value).toBe(used);
  expect(pressed(view)).toBe("true");
  button(view, "Microphone").click();
  await expect.poll(() => pressed(view)).toBe("false");
  button(view, "Microphone").click();
  await expect.poll(() => pressed(view) === "true" && on(view)).toBe(true);
  expect(ask.mock.lastCall?.[0]).toMatchObject({ audio: { deviceId: { exact: used } } });
});
