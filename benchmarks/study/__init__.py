"""The runner of all benchmarks that train: cells run once, here or on a Ray cluster, into a CSV file that grows.

A `study` is a YAML file of tasks, methods and seeds; each combination is a cell (`cells`). `recording` finds the
cells that a file lacks and writes new rows, which `rows` puts on the disk. The processes are those of
`adaptive_dropout.processes`, or of Ray (`cluster`).
"""
