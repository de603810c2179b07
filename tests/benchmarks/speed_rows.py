"""Rows of the speed benchmark, made up."""

from __future__ import annotations

from benchmarks.speed.results import Row
from benchmarks.study.place import Place

PLACE = Place("2026-01-01T00:00:00Z", "abc", "a machine", "Python, torch", "cpu", 1, "recycling")


def row(noise: str, what: str, elements: int, contender: str, microseconds: float, **changed: object) -> Row:
    place = {name: changed.pop(name, value) for name, value in vars(PLACE).items()}
    cells = {"rounds": 5, "spread": 0.01, "saved": 0.0, "note": "", **changed}
    return Row(  # type: ignore[call-arg]
        **place, noise=noise, what=what, elements=elements, contender=contender, microseconds=microseconds, **cells
    )


def group(noise: str, what: str, elements: int, microseconds: dict[str, float], **changed: object) -> list[Row]:
    return [row(noise, what, elements, name, time, **changed) for name, time in microseconds.items()]
