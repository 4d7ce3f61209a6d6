/** What a page's author gets of channels, in one place for a module's entry to export; runs in the browser tab. */

export type { ChannelEvents, ChannelOptions, SendOptions, Trouble } from "./channel";
export { Channel } from "./channel";
export { ChannelClosed, PeerNotFound, RTCError, RTCTimeout, SendTimeout } from "./errors";
export type { Dtype, Order, TypedArray } from "./ndarray";
export { NdArray } from "./ndarray";
export type { Patience as ReceiveOptions } from "./patience";
export type { Message } from "./reader";
export type { Sender } from "./receiver";
export type { Json, Sendable, Value } from "./values";
export { ArrowStream, MessageTooLarge } from "./values";
