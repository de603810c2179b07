"""Where dropout belongs in a convolutional network, and how much: after each part and after all, p from 0 to .9.

``python -m benchmarks.placement mnist-small --data-dir DATA`` trains what ``results.csv`` lacks of that study and
writes its tables and figures. A study is a YAML file here; places are in `methods`.
"""
