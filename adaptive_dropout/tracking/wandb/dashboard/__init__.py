"""Dashboards and reports in W&B, written as code; they need the extra ``dashboards``.

`panels` says what is shown, `workspace` and `report` put it in order, `saving` gives it to the server.
"""
