"""MLflow behind the hub's sign-in: one tracking server, every request made as the person who makes it.

`rules` decides (pure), `ownership` and `upstream` ask the tracking server, `supervisor` keeps it running,
`handlers` and `app` connect them. `tracking_server` runs inside the environment of MLflow, not in this one.
"""
