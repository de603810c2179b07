"""What dropout does: accuracy, likelihood, calibration, gap and cost in convergence, with it and without.

``python -m benchmarks.effect mnist-small --data-dir DATA`` trains what ``results.csv`` lacks of that study and writes
its tables and figures. A study is a YAML file here; tasks are in `tasks`, methods in `methods`.
"""
