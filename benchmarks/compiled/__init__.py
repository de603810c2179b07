"""The cost of dropout in attention under ``torch.compile``, when its rate moves.

`__main__` measures, appends to ``models.csv`` and ``attention.csv`` and writes ``table.md``.
"""
