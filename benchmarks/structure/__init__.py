"""What the structure of a noise costs or saves: layers skipped for a whole batch, and recurrent loops with zoneout.

``python -m benchmarks.structure`` appends to ``results.csv`` and writes ``table.md``.
"""
