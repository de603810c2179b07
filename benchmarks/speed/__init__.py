"""The time and the memory that noise takes: each layer against torch's, the naive form, and those of others.

``python -m benchmarks.speed`` appends to ``results.csv`` and writes ``table.md``.
"""
