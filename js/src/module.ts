/** The module that authors of pages and widgets import (docs/javascript.md); runs in the browser tab. */

export { RTCError, RTCTimeout } from "./data/errors";
export * from "./data/public";
export { type JoinOptions, joinRoom } from "./join_room";
export type { ChannelOptions } from "./open_channels";
export type { Participant, RoomEvents, RoomHandle, RoomState, StreamInfo } from "./room_handle";
