/** When a waiting kernel is offered a ticket, and when another one. */

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { FIRST, MOST, TicketOffer } from "../../src/ticket_offer";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

function offers() {
  const view = new AbortController();
  const offer = vi.fn<() => Promise<void>>(async () => undefined);
  return { view, offer, kernel: new TicketOffer(offer, view.signal) };
}

test("one ticket is offered while the kernel waits, and none before", () => {
  const { kernel, offer } = offers();
  kernel.update(false);
  kernel.refused(); // what another page offered
  expect(offer).not.toHaveBeenCalled();
  kernel.update(true);
  kernel.update(true);
  vi.advanceTimersByTime(10 * MOST);
  expect(offer).toHaveBeenCalledOnce();
});

test("after each refusal another one is offered, later and later", async () => {
  const { kernel, offer } = offers();
  kernel.update(true);
  for (let refusals = 1; refusals < 12; refusals++) {
    const wait = Math.min(MOST, FIRST * 2 ** (refusals - 1));
    kernel.refused();
    kernel.update(true);
    kernel.refused(); // what another page offered
    vi.advanceTimersByTime(wait / 2 - 1);
    expect(offer).toHaveBeenCalledTimes(refusals);
    await vi.advanceTimersByTimeAsync(wait / 2 + 1);
    expect(offer).toHaveBeenCalledTimes(refusals + 1);
  }
});

test("a page that gets no ticket tries again", async () => {
  vi.spyOn(console, "warn").mockReturnValue();
  const { kernel, offer } = offers();
  offer.mockRejectedValueOnce(new Error("offline"));
  kernel.update(true);
  await vi.advanceTimersByTimeAsync(FIRST);
  expect(offer).toHaveBeenCalledTimes(2);
});

test.each(["kernel is in", "view is closed"])("no more is offered once the %s", async (end) => {
  const { kernel, offer, view } = offers();
  kernel.update(true);
  kernel.refused();
  if (end === "kernel is in") kernel.update(false);
  else view.abort();
  kernel.refused();
  await vi.advanceTimersByTimeAsync(10 * MOST);
  expect(offer).toHaveBeenCalledOnce();
  view.abort();
});

test("a kernel that waits again is offered one at once", () => {
  const { kernel, offer } = offers();
  kernel.update(true);
  kernel.update(false);
  kernel.update(true);
  expect(offer).toHaveBeenCalledTimes(2);
});
