"""The effects of dropout on accuracy, likelihood, calibration, gap and convergence.

``python -m benchmarks.effect mnist-small --data-dir DATA`` trains the cells of that study that ``results.csv`` lacks,
and writes tables and figures. A study is a YAML file here; tasks are in `tasks`, methods in `methods`.
"""
