"""Kubernetes: what a plan becomes in a cluster, and how the hub sees it and asks for it."""

from typing import Any

Json = dict[str, Any]
"""An object of the API, as JSON has it."""
