/** How long to wait before trying again; pure, used by signaling and by the connections to peers. */

/** Milliseconds before attempt `attempt` (0 is the first): doubling from `first` to `most`, with a jitter of half of it. */
export function backoff(
  attempt: number,
  first: number,
  most: number,
  random: () => number = Math.random,
): number {
  const full = Math.min(most, first * 2 ** Math.min(attempt, 20));
  return full / 2 + (full / 2) * random();
}
