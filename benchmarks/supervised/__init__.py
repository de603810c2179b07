"""Training on labelled examples, as several studies share it: tasks, methods, a run and its row (`training.train`)."""
