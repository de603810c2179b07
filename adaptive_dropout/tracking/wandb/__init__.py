"""What only Weights & Biases can do: its logger, its panels and tables, its dashboards, and reading its runs back."""
