"""How much sooner `adaptive_dropout.mc_samples` has its samples than a loop over full passes.

`__main__` measures, appends to ``results.csv`` and writes ``table.md``.
"""
