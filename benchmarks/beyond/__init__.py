"""Dropout outside dense networks, its rate none, fixed, or steered from validation by the controllers of the library.

A task makes a `learner.Learner`, which has a rate and is trained piece by piece. `steering` trains any of them under
any controller, so a boosted forest and a transformer are steered by the same lines. `python -m benchmarks.beyond
--data-dir DIR` runs the study in ``rates.yaml``, appends to ``results.csv`` and writes ``table.md``.
"""
