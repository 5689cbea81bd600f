"""The single-user server of one machine: JupyterHub's own, started sooner."""

import sys


def main() -> None:
    """Run `jupyterhub-singleuser` with this process's arguments."""
    # jsonschema checks `iri` formats with this package when it is there, and building its grammar takes a second or
    # more of every start. Nothing here uses that format, and jsonschema does without when the import fails.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    from jupyterhub.singleuser import main as run

    run()


if __name__ == "__main__":
    main()
