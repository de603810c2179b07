"""The grid against one run: does one training run reach the test loss of the best of ten fixed dropout rates?

``python -m benchmarks.control`` trains the cells that ``results.csv`` lacks; ``python -m benchmarks.control.table``
prints the results as Markdown. A task is a line in `tasks`, a method a line in `methods`.
"""
