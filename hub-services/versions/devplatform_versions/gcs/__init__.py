"""Versions in a bucket of Google Cloud Storage: an object's generations are a file's versions.

A file of a person is the object `users/<slug>/<path>`, whoever wrote it: the capture agent by a signed URL, or gcsfuse
as the person's workspace. `names` says which object, `history` what its generations mean, `folder` and `walks` how many
of them are asked for, `api` how, `signing` how others may put one; `store` is the `VersionStore` over all of it.

The JSON API is asked directly: no kept client of it can stream one generation, trim a listing of versions and run on
the service's event loop at once; `tests/benchmarks/bench_versions.py` has what that is worth.
"""
