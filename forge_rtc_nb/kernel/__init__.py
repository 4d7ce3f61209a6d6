"""What the notebook's user holds: rooms, streams, frames. Runs in the kernel; never imports aiortc or av."""
