"""What a participant must not do on a data channel (engine process)."""

from __future__ import annotations


class Violation(Exception):
    """The other side broke the protocol; the text, after its name, says how. It costs it this data channel and nothing else."""
