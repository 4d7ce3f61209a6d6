/** A data channel as a participant's record has it: its options, its reader, and what its name may be; pure, in the browser tab. */

import { DecodeError, flag, integer, oneOf, optional, record, required, text } from "./schema";

export const MAX_CHANNELS = 64;
export const MAX_NAME = 64;

/** A data channel that a participant has open; who else opens one of this name does so with the same options. */
export interface Channel {
  name: string;
  ordered?: boolean;
  /** False: what is lost or late is not sent again, and the newest message replaces those that wait. */
  reliable?: boolean;
  /** What a receiver's full queue does: holds the sender up, or lets its oldest message go. */
  policy?: "block" | "drop_oldest";
  /** Messages in a receiver's queue, and their bytes. */
  maxsize?: number;
  maxbytes?: number;
}

/** What an option of a channel is where it is absent. */
export const CHANNEL_DEFAULTS: Required<Omit<Channel, "name">> = {
  ordered: true,
  reliable: true,
  policy: "block",
  maxsize: 64,
  maxbytes: 256 * 1024 * 1024,
};

export const channel = record<Channel>({
  name: required(text({ min: 1, max: MAX_NAME })),
  ordered: optional(flag, CHANNEL_DEFAULTS.ordered),
  reliable: optional(flag, CHANNEL_DEFAULTS.reliable),
  policy: optional(oneOf("block", "drop_oldest"), CHANNEL_DEFAULTS.policy),
  maxsize: optional(integer(1, 65536), CHANNEL_DEFAULTS.maxsize),
  maxbytes: optional(integer(1, 2 ** 40), CHANNEL_DEFAULTS.maxbytes),
});

/** Control, bidi and other invisible characters, and white space other than single spaces between words. */
const UNWANTED = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}|^ | $| {2}/u;

/** Refuse what is no name of a channel; it is not cleaned, since two who mean one channel must say one name. */
export function checkChannelName(name: string): void {
  const length = [...name].length;
  if (length < 1 || length > MAX_NAME || name !== name.normalize("NFC") || UNWANTED.test(name)) {
    const shown = JSON.stringify([...name].slice(0, MAX_NAME).join(""));
    throw new DecodeError(
      `${shown} is no channel name: use 1 to ${MAX_NAME} visible characters and single spaces`,
    );
  }
}

/** Refuse a list in which a name is not as it should be, or stands twice. */
export function checkChannels(channels: Channel[]): void {
  for (const { name } of channels) checkChannelName(name);
  if (new Set(channels.map(({ name }) => name)).size < channels.length) {
    throw new DecodeError("two channels of one participant have the same name");
  }
}
