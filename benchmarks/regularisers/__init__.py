"""Which regularisers help beside dropout, and which only repeat it: six of them, every combination.

``python -m benchmarks.regularisers mnist-small --data-dir DATA`` trains the missing cells of that study and
writes its tables and figures. The design is a full factorial: each regulariser is absent or present, 2^6 combinations,
so that each effect is a mean over all the others. A study is a YAML file here; the regularisers are in `methods`.
"""
