"""`python -m devplatform_versions`, as the hub starts it."""

from .app import VersionsApp

if __name__ == "__main__":
    VersionsApp.launch_instance()
