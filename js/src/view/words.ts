/** What the widget says; pure. */

import type { RoomState } from "../attachment";
import type { Failure } from "../failure";
import type { Problem } from "../media";
import type { Participant } from "../protocol";

const STATUS: Record<RoomState["of"], Record<RoomState["name"], string>> = {
  tab: {
    connecting: "Connecting…",
    joined: "In the room",
    waiting: "Waiting",
    reconnecting: "Reconnecting…",
    left: "Left the room",
    error: "Not in the room",
  },
  kernel: {
    connecting: "The kernel is connecting…",
    joined: "In the room",
    waiting: "Waiting for the kernel",
    reconnecting: "The kernel is reconnecting…",
    left: "The kernel left the room",
    error: "The kernel is not in the room",
  },
};

export function statusWords({ of, name }: RoomState): string {
  return STATUS[of][name];
}

const ADVICE: ReadonlyMap<string, string> = new Map([
  ["replaced", "Go on in the other tab, or join again here."],
  ["room-deleted", "Run the cell with join again to open it anew."],
  ["bad-version", "Reload the page; if that does not help, restart the Jupyter server after the upgrade."],
  ["unauthorized", "Reload the page, log in to Jupyter if it asks, and try again."],
  ["forbidden", "Ask whoever runs this Jupyter server for the permission."],
  ["room-not-found", "Check the room's name in join, or ask for the room to be created."],
  ["room-full", "Close other tabs that show it, or try again when somebody left."],
  ["abuse", "Reload the page."],
  ["no-kernel", "Start the kernel and run the cell again."],
  ["signaling", "See that the Jupyter server runs and has forge_rtc_nb installed, then try again."],
]);

/** A failed join in words: what happened, and what to do. */
export function failureWords(failure: Failure): Problem {
  const advice =
    failure.advice ?? ADVICE.get(failure.code) ?? "Try again; if it fails again, run the cell once more.";
  return { what: sentence(failure.message), advice };
}

/** The kernel's own trouble, in its words where it has some. */
export function kernelTrouble(detail: string): Problem {
  return { what: sentence(detail) || "The kernel could not join.", advice: "Run the cell with join again." };
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?…]$/.test(trimmed) || trimmed === "" ? trimmed : `${trimmed}.`;
}

/** "2 people · 1 kernel" */
export function countWords(participants: readonly Participant[]): string {
  const kernels = participants.filter(({ kind }) => kind === "kernel").length;
  const people = participants.length - kernels;
  const parts = [people === 1 ? "1 person" : `${people} people`];
  if (kernels > 0) parts.push(kernels === 1 ? "1 kernel" : `${kernels} kernels`);
  return parts.join(" · ");
}

/** One or two letters that stand for a name. */
export function initials(name: string): string {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? [];
  const letters = words.length > 1 ? [words[0], words[1]] : [words[0]];
  return letters.map((word) => [...(word ?? "?")][0]?.toLocaleUpperCase() ?? "").join("");
}
