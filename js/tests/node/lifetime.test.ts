/** Who holds the session, when it ends, and whose notebooks the tab shows. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { GRACE, Lifetime } from "../../src/lifetime";
import type { Participant } from "../../src/protocol";
import { RESTART_GRACE, Roster } from "../../src/roster";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0); // nothing may stay behind
  vi.useRealTimers();
});

function lifetime() {
  const end = vi.fn<() => void>();
  const owners = vi.fn<() => void>();
  return { end, owners, life: new Lifetime(end, owners) };
}

describe("the session", () => {
  test("ends when the last view has been gone for a while", () => {
    const { life, end } = lifetime();
    const [one, two] = [life.hold("k"), life.hold("k")];
    life.release(one);
    vi.advanceTimersByTime(2 * GRACE);
    expect(end).not.toHaveBeenCalled();
    life.release(two);
    vi.advanceTimersByTime(GRACE - 1);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end).toHaveBeenCalledOnce();
    expect(life.ended).toBe(true);
  });

  test("goes on when a cell is run again", () => {
    const { life, end, owners } = lifetime();
    const old = life.hold("k");
    life.release(old);
    vi.advanceTimersByTime(GRACE - 1);
    const again = life.hold("k");
    vi.advanceTimersByTime(2 * GRACE);
    expect(end).not.toHaveBeenCalled();
    expect(owners).toHaveBeenCalledOnce(); // the same kernel as before: nobody need be told again
    life.release(again);
    life.finish();
  });

  test("ends once, however often it is told to", () => {
    const { life, end } = lifetime();
    const hold = life.hold("k");
    life.finish();
    life.release(hold);
    life.release(hold);
    life.finish();
    expect(end).toHaveBeenCalledOnce();
  });
});

describe("owners", () => {
  test("are the kernels that are shown, the last shown last, each once", () => {
    const { life } = lifetime();
    const first = life.hold("k1");
    life.hold("k2");
    expect(life.owners).toEqual(["k1", "k2"]);
    life.hold("k1");
    expect(life.owners).toEqual(["k2", "k1"]);
    life.release(first);
    expect(life.owners).toEqual(["k2", "k1"]);
    life.finish();
  });

  test("a kernel without an id counts once it has one", () => {
    const { life, owners } = lifetime();
    const hold = life.hold("");
    expect(life.owners).toEqual([]);
    expect(owners).not.toHaveBeenCalled();
    life.setOwner(hold, "k1");
    life.setOwner(hold, "k1");
    expect(life.owners).toEqual(["k1"]);
    expect(owners).toHaveBeenCalledOnce();
  });

  test("stay during the grace, so that a cell run again does not blink", () => {
    const { life, owners } = lifetime();
    const hold = life.hold("k1");
    owners.mockClear();
    life.release(hold);
    expect(life.owners).toEqual(["k1"]);
    expect(owners).not.toHaveBeenCalled();
    life.hold("k2");
    expect(life.owners).toEqual(["k2"]);
    expect(owners).toHaveBeenCalledOnce();
  });
});

describe("the people in the room", () => {
  const person = (id: string): Participant => ({ id, name: id, kind: "browser", user: id });

  test("who is missing after a server restart may come back", () => {
    const left = vi.fn<(id: string) => void>();
    const roster = new Roster(left);
    roster.welcome([person("a"), person("b")], RESTART_GRACE);
    roster.welcome([person("a")], RESTART_GRACE);
    expect(roster.get("b")?.state).toBe("reconnecting");
    vi.advanceTimersByTime(RESTART_GRACE - 1);
    expect(roster.isMissing("b")).toBe(true);
    expect(roster.put(person("b"))).toBe(true); // so that what was lost meanwhile is said again
    expect(roster.put(person("b"))).toBe(false);
    vi.advanceTimersByTime(RESTART_GRACE);
    expect(roster.get("b")?.state).toBeUndefined();
    expect(left).not.toHaveBeenCalled();
  });

  test("who does not come back has left", () => {
    const left = vi.fn<(id: string) => void>();
    const roster = new Roster(left);
    roster.welcome([person("a")], RESTART_GRACE);
    roster.welcome([], RESTART_GRACE);
    vi.advanceTimersByTime(RESTART_GRACE);
    expect(left).toHaveBeenCalledExactlyOnceWith("a");
    expect(roster.all).toEqual([]);
  });

  test("leaving is told once", () => {
    const left = vi.fn<(id: string) => void>();
    const roster = new Roster(left);
    roster.put(person("a"));
    roster.remove("a");
    roster.remove("a");
    roster.clear();
    expect(left).toHaveBeenCalledOnce();
  });
});
