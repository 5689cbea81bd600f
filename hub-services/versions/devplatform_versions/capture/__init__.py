"""The capture agent, `python -m devplatform_versions.capture`: every save in the workspace becomes a version.

`ignore`, `schedule` and `reconcile` decide and are pure; `workspace`, `walk`, `scan` and `watch` touch files; `state`
remembers; `uploader`, `restorer` and `synchronise` talk to the service; `agent` puts them together.
"""
