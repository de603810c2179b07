"""What the studies share that train a network on labelled examples: tasks, a method, a run and its row, a page.

A study brings its methods and chooses tasks; `training.trained` makes a row of a cell, `publish.publish` the page.
"""
