"""What every study shares: cells that run once, on the cores at hand or a Ray cluster, into a CSV file that only grows.

A study is a YAML file of tasks, methods and seeds (`study`), each combination a cell (`cells`); a row is one line of
the results (`lines`); an engine, `local` or `cluster`, yields what cells give as it comes; `recording` writes it down.
"""
