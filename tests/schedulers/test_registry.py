"""The registry's names."""

from random import Random

import pytest

from proxy.schedulers.registry import SCHEDULERS, create, names


def test_knows_every_scheduler_by_its_name() -> None:
    assert set(names()) == set(
        "rr wrr lc wlc sed nq lblc lblcr sh dh mh fo ovf twos random".split()  # noqa: SIM905 - reads as the manual does
    )
    assert all(create(name, Random(1)).name == name for name in names())


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValueError, match='unknown scheduler "robin"') as refusal:
        create("robin", Random(1))
    assert all(name in str(refusal.value) for name in names())


def test_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        SCHEDULERS["mine"] = SCHEDULERS["rr"]  # type: ignore[index]
