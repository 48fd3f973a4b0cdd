"""`svcproxy cleanup`: removes our tables, and says so where there are none or it may not."""

import io

import pytest

from proxy.cli import main
from proxy.nftables.nftables_path import NftablesPath
from proxy.nftables.rule_table import RuleTable
from proxy.plan.frontend import Delta
from tests.nftables.conftest import MakePath, make_path, rules

__all__ = ["make_path", "rules"]


def cleanup() -> tuple[int, str, str]:
    output, errors = io.StringIO(), io.StringIO()
    return main(["cleanup"], output, errors, {}), output.getvalue(), errors.getvalue()


def test_tables_are_removed_once(rules: RuleTable, make_path: MakePath) -> None:
    path: NftablesPath = make_path()
    path.apply(Delta())
    assert cleanup() == (0, "nftables tables svcproxy removed\n", "")
    assert not rules.exists()
    assert cleanup() == (0, "there are no nftables tables svcproxy\n", "")


def test_without_permission_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> bool:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("proxy.commands.cleanup.remove_tables", refuse)
    status, output, errors = cleanup()
    assert (status, output) == (1, "")
    assert errors == (
        "svcproxy cleanup: the nftables tables svcproxy cannot be removed: Operation not permitted: "
        "run it as root or with CAP_NET_ADMIN\n"
    )
