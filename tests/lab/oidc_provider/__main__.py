"""`python -m tests.lab.oidc_provider`, part of `make lab-tools`."""

from tests.lab.oidc_provider import install

install()
