"""What does one run of the default callback find beside published results, whose rates were searched or copied?

Networks, data and training are as published, or smaller where the table says so. `anchor` says what a task is; tasks
are in `graphs`, `minesweeper`, `tabular`, `sentences`, `words` and `characters`, and `methods` has what is compared.
`cells` trains, and `table` writes the results beside the `published` ones.
"""
