"""All kinds of harm, by name."""

from __future__ import annotations

from benchmarks.reliability import updates
from benchmarks.reliability.attempt import Kind

__all__ = ["KINDS"]

KINDS: dict[str, Kind] = {
    "updates": Kind(
        "updates",
        "rates are probabilities within their bounds, nothing that went in changes, and the state read back from JSON "
        "decides the same; a refusal names the signal",
        updates.attempt,
        1_000_000,
    ),
}
