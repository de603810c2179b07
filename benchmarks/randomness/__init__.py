"""Is the noise random? A battery of tests on the bits of `adaptive_dropout.noise`, arranged as layers use them.

``python -m benchmarks.randomness`` writes ``results.csv`` and ``table.md``; the same seeds give the same files.
"""
