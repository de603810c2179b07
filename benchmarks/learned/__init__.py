"""Learned rates against what their papers report."""
