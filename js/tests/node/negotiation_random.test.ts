/** The pair's state machine in random order: whatever happens, both ends agree in the end. */

import { expect, test } from "vitest";
import type { Input, PairMessage } from "../../src/negotiation";
import type { RoutedMessage, Stream } from "../../src/protocol";
import { camera, camera2, converge, microphone, Side, subscribe } from "./sides";

/** A small reproducible generator, so that a failure can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1664525 + 1013904223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

/** Forty steps of whatever may happen, in whatever order; some messages stay under way. */
function stir(sides: [Side, Side], queues: [RoutedMessage[], RoutedMessage[]], next: () => number): void {
  for (let step = 0; step < 40; step++) {
    const which = next() < 0.5 ? 0 : 1;
    const side = sides[which];
    happen(side, [camera, microphone, camera2][Math.floor(next() * 3)] ?? camera, next());
    queues[which].push(...side.take());
    if (next() > 0.5) continue;
    const message = queues[which].shift();
    if (message) sides[1 - which]?.input({ is: "message", message: message as PairMessage });
  }
}

function happen(side: Side, stream: Stream, choice: number): void {
  if (choice < 0.25) side.input(subscribe(stream));
  else if (choice < 0.35) side.input({ is: "unsubscribed", stream: stream.id });
  else if (choice < 0.42) side.input({ is: "ended", stream: stream.id });
  else if (choice < 0.45) side.input({ is: "dead", epoch: side.epoch });
  else if (choice < 0.5) side.input({ is: "retry" });
  else if (choice < 0.55) side.input({ is: "needed", needed: choice < 0.53 });
  else if (choice < 0.75) side.settle();
}

/** Deliver all that is under way, and let time pass; `wish` is what both of them want in the end. */
function finish(sides: [Side, Side], queues: [RoutedMessage[], RoutedMessage[]], wish: Input[]): void {
  for (const side of sides) for (const input of wish) side.input(input);
  for (const which of [0, 1] as const) {
    for (const message of queues[which])
      sides[1 - which]?.input({ is: "message", message: message as PairMessage });
  }
  for (const side of sides) side.input({ is: "retry" });
  converge(...sides);
  // Connections of different epochs never open: the one that is behind runs into its timeout.
  for (let round = 0; round < 3 && !agreed(sides); round++) {
    const behind = (sides[0].live ?? 0) < (sides[1].live ?? 0) ? sides[0] : sides[1];
    behind.input({ is: "dead", epoch: behind.epoch });
    behind.input({ is: "retry" });
    converge(...sides);
  }
}

const agreed = ([a, b]: [Side, Side]) => a.live !== null && a.live === b.live;

/** Two who went through whatever happened, and then both want this. */
function pairAfter(seed: number, wish: Input[]): [Side, Side] {
  const sides: [Side, Side] = [
    new Side("a", "b", "browser", 1000),
    new Side("b", "a", "browser", 1000 + (seed % 3)),
  ];
  const queues: [RoutedMessage[], RoutedMessage[]] = [[], []];
  stir(sides, queues, random(seed));
  finish(sides, queues, wish);
  expect(agreed(sides), `seed ${seed}: ${sides.map(({ live }) => live)}`).toBe(true);
  return sides;
}

test("any order of events ends with both in agreement, and both sending", () => {
  for (let seed = 1; seed <= 500; seed++) {
    for (const side of pairAfter(seed, [subscribe(camera)])) {
      expect(side.carries(camera), `seed ${seed}`).toBe(true);
    }
  }
});

test("nor does it keep apart two who have nothing but data for each other", () => {
  const idle: Input[] = [camera, microphone, camera2].map(({ id }) => ({ is: "ended", stream: id }));
  for (let seed = 1; seed <= 500; seed++) pairAfter(seed, [...idle, { is: "needed", needed: true }]);
});
