"""Dashboards and reports in W&B, written as code; they need the extra ``dashboards``.

`panels` holds what is shown, `pages` arranges it, `saving` sends it to the server.
"""
