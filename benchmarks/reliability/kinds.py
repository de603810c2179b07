"""All kinds of harm, by name."""

from __future__ import annotations

from benchmarks.reliability.attempt import Kind

__all__ = ["KINDS"]

KINDS: dict[str, Kind] = {}
