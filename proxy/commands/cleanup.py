"""`svcproxy cleanup`: removes from the kernel what a proxy left there: our nftables tables.

Invariant: tables of other programs are never touched; that there is nothing of ours is no fault.
"""

import argparse
from collections.abc import Mapping
from typing import TextIO

from proxy.nftables.nftables_choice import remove_tables
from proxy.nftables.rule_table import TABLE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "It takes root or CAP_NET_ADMIN, in the network namespace that the proxy ran in."


def run(arguments: argparse.Namespace, output: TextIO, errors: TextIO, environment: Mapping[str, str]) -> int:
    """0 where nothing of ours is left; 1 where the kernel does not permit it."""
    try:
        found = remove_tables()
    except OSError as error:
        way_out = ": run it as root or with CAP_NET_ADMIN" if isinstance(error, PermissionError) else ""
        print(
            f"svcproxy cleanup: the nftables tables {TABLE} cannot be removed: {error.strerror}{way_out}", file=errors
        )
        return 1
    print(f"nftables tables {TABLE} removed" if found else f"there are no nftables tables {TABLE}", file=output)
    return 0
