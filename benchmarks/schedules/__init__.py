"""Does a rate that follows a schedule beat a constant one, and one that is steered by validation?

``python -m benchmarks.schedules small --data-dir DATA`` trains the cells of that study that ``results.csv`` lacks, and
writes tables and figures. A study is a YAML file here; schedules are in `experiment`.
"""
