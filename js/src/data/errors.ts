/** The errors of channels, for the authors of pages; pure, runs in the browser tab. */

/** Base of all; the name is that of Python's exception, the code that of `error` messages, the text says what to do. */
export class RTCError extends Error {
  override readonly name: string = "RTCError";
  readonly code: string = "error";
}

/** A call did not finish within its `timeout`. */
export class RTCTimeout extends RTCError {
  override readonly name: string = "RTCTimeout";
  override readonly code: string = "timeout";
}

/** Some receivers did not take a message within its `timeout`; the others have it. */
export class SendTimeout extends RTCTimeout {
  override readonly name = "SendTimeout";
  override readonly code = "send-timeout";
  /** The names of those who did not take it. */
  readonly slow: string[];

  constructor(channel: string, slow: string[], timeout: number) {
    super(`${quoted(slow)} did not take the message on ${channel} within ${timeout} s`);
    this.slow = slow;
  }
}

/** The channel was closed, by `Channel.close` or with its room. */
export class ChannelClosed extends RTCError {
  override readonly name = "ChannelClosed";
  override readonly code = "channel-closed";
}

/** A message is for somebody who does not have the channel open. */
export class PeerNotFound extends RTCError {
  override readonly name = "PeerNotFound";
  override readonly code = "peer-not-found";

  constructor(channel: string, who: string, there: string[]) {
    const others = there.length > 0 ? `those who have are ${quoted(there)}` : "nor does anybody else";
    super(`${quoted([who])} does not have ${channel} open; ${others}`);
  }
}

function quoted(names: string[]): string {
  return names.map((name) => JSON.stringify(name)).join(", ");
}
