/** How long a call waits: its timeout and its signal, as one thing to stop; pure but for a timer, runs in the browser tab. */

/** The longest wait that a timer can be set to, in milliseconds; what is longer waits without end. */
const LONGEST = 2 ** 31 - 1;

export interface Patience {
  /** Seconds; `Infinity` waits without end. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Call `expired`, or `aborted` with the signal's reason, whichever comes first; returns what stops both. */
export function patience(
  { timeout = Number.POSITIVE_INFINITY, signal }: Patience,
  expired: () => void,
  aborted: (reason: unknown) => void,
): () => void {
  const abort = () => {
    clearTimeout(timer);
    aborted(signal?.reason);
  };
  const expire = () => {
    signal?.removeEventListener("abort", abort);
    expired();
  };
  const timer = timeout * 1000 <= LONGEST ? setTimeout(expire, timeout * 1000) : undefined;
  signal?.addEventListener("abort", abort, { once: true });
  return () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  };
}
