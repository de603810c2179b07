"""Does one adaptive run match the published grid search of MC dropout on the UCI regression sets?

The splits and the network are the authors' own. `splits` reads the data, `tasks` has the sets, `experiment` the
methods; `cells` runs and scores a cell, and `table` writes the results beside those that were `published`.
"""
