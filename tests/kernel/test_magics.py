"""`%rtc` and `%%rtc frames` in IPython's own shell, against the real server."""
