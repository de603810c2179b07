"""Does one adaptive run match the published grid search of MC dropout on the UCI regression sets?

The authors' own splits and network: `splits` reads them, `tasks` says how long is trained, `methods` what is compared,
`cells` runs and scores one of them, `table` writes it beside what was `published`.
"""
