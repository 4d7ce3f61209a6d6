"""Data channels at the speed of the machine: SCTP and the way of its packets, without aiortc (engine process)."""
