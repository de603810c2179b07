"""Does a planned course of the rate beat one that never moves, and one that answers to validation?

``python -m benchmarks.schedules small --data-dir DATA`` trains what ``results.csv`` lacks of that study and writes its
tables and figures. A study is a YAML file here; schedules are in `methods`.
"""
