"""The version of the installed package, as the server reports it; Jupyter server process."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """``"unknown"`` where the package runs from a folder without being installed."""
    try:
        return metadata.version("forge_rtc_nb")
    except metadata.PackageNotFoundError:
        return "unknown"
