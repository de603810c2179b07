"""Learned rates against the results in their papers, and beside the default controller."""
