"""How long noise takes: each layer against `torch.nn.Dropout`, side by side in one process.

``python -m benchmarks.noise`` appends to ``results.csv``; ``python -m benchmarks.noise.table`` writes what it says as
Markdown, the machine beside it.
"""
