"""What a server has to reach so that its buckets and its Google identity work: data for the chart, and why.

Zero-to-JupyterHub shuts the cloud's metadata server off twice, and both have to be opened for GKE's, which gives a
pod tokens of its own identity only: the iptables rule by `Z2JH_VALUES`, the network policy by `identity_policy`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Z2JH_VALUES = {"singleuser": {"cloudMetadata": {"blockWithIptables": False}}}
"""Its init container drops packets to 169.254.169.254 in the pod itself, which no network policy can undo.

Safe only where the node pool has Workload Identity (GKE_METADATA): otherwise the machine's own identity is behind it.
"""

PRIVATE_GOOGLE_ACCESS = ("199.36.153.8/30", "199.36.153.4/30")
"""private.googleapis.com and restricted.googleapis.com: Google's APIs, and nothing else of the internet."""


@dataclass(frozen=True, slots=True)
class Egress:
    """One thing that may be reached: TCP `port` at `addresses`, and the reason."""

    reason: str
    addresses: tuple[str, ...]
    port: int

    @property
    def rule(self) -> dict[str, Any]:
        """As a rule of a NetworkPolicy."""
        return {
            "to": [{"ipBlock": {"cidr": address}} for address in self.addresses],
            "ports": [{"protocol": "TCP", "port": self.port}],
        }


def identity_egress(google_apis: Sequence[str] = PRIVATE_GOOGLE_ACCESS) -> tuple[Egress, ...]:
    """The three rules, each as narrow as it can be. `google_apis`: where the cluster's DNS sends googleapis.com."""
    return (
        Egress(
            "tokens of the pod's identity, with network policies by Calico: the address is rewritten before the policy",
            ("169.254.169.252/32",),
            988,
        ),
        Egress(
            "tokens of the pod's identity, on Dataplane V2: the policy sees the address that the pod asked for",
            ("169.254.169.254/32",),
            80,
        ),
        Egress("objects in Cloud Storage and the exchange of tokens", tuple(google_apis), 443),
    )


def identity_policy(
    name: str, namespace: str, pods: Mapping[str, str], google_apis: Sequence[str] = PRIVATE_GOOGLE_ACCESS
) -> dict[str, Any]:
    """A NetworkPolicy that adds `identity_egress` to what pods with the labels `pods` may reach already."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": dict(pods)},
            "policyTypes": ["Egress"],
            "egress": [egress.rule for egress in identity_egress(google_apis)],
        },
    }
