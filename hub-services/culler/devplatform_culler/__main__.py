"""`python -m devplatform_culler`, as the hub starts it."""

from .app import CullerApp

if __name__ == "__main__":
    CullerApp.launch_instance()
