"""The home disk: when a claim grows, that it never shrinks or moves, and the amounts as Kubernetes writes them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devplatform_hub.core.cluster_quantities import parse_quantity, quantity
from devplatform_hub.kube.storage import Growth, backup_labels, growth

GIB = 2**30
GROWS = {"metadata": {"name": "fast"}, "allowVolumeExpansion": True}


def claim(size: str = "10Gi", phase: str = "Bound", **metadata: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "claim-alice", "resourceVersion": "7", **metadata},
        "spec": {"storageClassName": "fast", "resources": {"requests": {"storage": size}}},
        "status": {"phase": phase},
    }


def stays(why: str) -> Growth:
    return Growth(None, f"Your home disk stays at 10 GB instead of 20 GB{why}")


@pytest.mark.parametrize(
    ("there", "wanted", "storage_class", "expected"),
    [
        pytest.param(
            claim(),
            20 * GIB,
            GROWS,
            Growth(
                {
                    "metadata": {"resourceVersion": "7"},
                    "spec": {"resources": {"requests": {"storage": "20Gi"}}},
                },
                "Your home disk grows from 10 GB to 20 GB.",
            ),
            id="grows, unless it changed since it was read",
        ),
        pytest.param(claim(), 10 * GIB, GROWS, Growth(), id="as large as it should be"),
        pytest.param(claim("20Gi"), 10 * GIB, GROWS, Growth(), id="never shrinks"),
        pytest.param(claim("20G"), 19 * 10**9, GROWS, Growth(), id="never shrinks, whatever the unit"),
        pytest.param(claim(), 0, GROWS, Growth(), id="no size asked for"),
        pytest.param(
            claim(),
            20 * GIB,
            GROWS | {"allowVolumeExpansion": False},
            stays(": its storage class fast does not let disks grow."),
            id="a class that says no",
        ),
        pytest.param(
            claim(),
            20 * GIB,
            {"metadata": {"name": "old"}},
            stays(": its storage class old does not let disks grow."),
            id="a class that says nothing",
        ),
        pytest.param(claim(), 20 * GIB, None, stays(": nothing is known of its storage class."), id="no class"),
        pytest.param(
            claim(phase="Pending"),
            20 * GIB,
            GROWS,
            stays(" for now: it is not ready yet. It grows at a later start."),
            id="not bound yet",
        ),
        pytest.param(claim(deletionTimestamp="t"), 20 * GIB, GROWS, Growth(), id="one that is being deleted"),
        pytest.param(claim("many"), 20 * GIB, GROWS, Growth(), id="an amount that is none"),
    ],
)
def test_growth(there: dict[str, Any], wanted: int, storage_class: dict[str, Any] | None, expected: Growth) -> None:
    """The patch and the sentence, whole."""
    assert growth(there, wanted, storage_class) == expected


@given(st.integers(1, 2**50), st.integers(0, 2**50))
def test_a_claim_never_shrinks_and_never_changes_its_class(size: int, wanted: int) -> None:
    """Whatever is asked for: a patch is larger than what is there, and says nothing but the size."""
    patch = growth(claim(quantity(size)), wanted, GROWS).patch
    if wanted <= size:
        assert patch is None
    else:
        assert patch is not None
        assert set(patch) == {"metadata", "spec"}
        assert patch["spec"] == {"resources": {"requests": {"storage": quantity(wanted)}}}


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("10Gi", 10 * GIB),
        ("1.5Ti", 3 * 2**39),
        ("10G", 10**10),
        ("128e6", 128_000_000),
        ("1E3", 1000),
        ("2E", 2 * 10**18),
        ("1k", 1000),
        ("1000", 1000),
        ("", None),
        ("10gi", None),
        ("-1", None),
        ("1 Gi", None),
        ("1Gie3", None),
    ],
)
def test_amounts_of_kubernetes(text: str, size: int | None) -> None:
    """Binary and decimal units and exponents; None for the rest."""
    assert parse_quantity(text) == size


@given(st.integers(0, 2**60))
def test_an_amount_is_read_as_it_was_written(size: int) -> None:
    """Without rounding."""
    assert parse_quantity(quantity(size)) == size


def test_a_backup_finds_each_home_and_whose_it_is() -> None:
    """By labels, with the owner's slug."""
    assert backup_labels("a-b---12345678") == {
        "devplatform.io/backup": "true",
        "devplatform.io/owner": "a-b---12345678",
    }
