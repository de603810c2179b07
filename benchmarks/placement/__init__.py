"""Where dropout belongs in a convolutional network, and how much: after each part and after all, p from 0 to .9.

``python -m benchmarks.placement mnist-small --data-dir DATA`` trains the cells of that study that ``results.csv``
lacks, and writes tables and figures. A study is a YAML file here; places are in `methods`.
"""
