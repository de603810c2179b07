"""The noise on a GPU, in one command and one table: bits, layers, synchronisation, times, attention, a training step.

``python -m benchmarks.gpu`` appends to ``results.csv`` and writes ``table.md``; the README says what each number means.
"""
