"""Should rates fall or rise over the depth of a network, and what would the perfect tilt gain over one rate for all?

``python -m benchmarks.depth mlp --data-dir DATA`` trains the cells of that study that ``results.csv`` lacks, and writes
tables and figures. `profile` has the rates, `tasks` the networks, `gain` the choice by validation.
"""
