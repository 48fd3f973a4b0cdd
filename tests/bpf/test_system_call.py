"""What the kernel will not do is an error in words."""

import errno
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import proxy
from proxy.bpf.bpf_error import BpfError
from proxy.bpf.system_call import Command, bpf

_ASK = (
    "import proxy.bpf.socket_lookup as s\ntry: s.SocketLookup()\nexcept OSError as e: print(e)\nelse: print('attached')"
)


@pytest.mark.requires("unshare", "setpriv")
def test_without_the_capabilities_the_error_names_them_and_where_to_grant_them() -> None:
    without = ["setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin", sys.executable, "-c", _ASK]
    asked = subprocess.run(
        ["unshare", "-n", *without], capture_output=True, text=True, cwd=Path(proxy.__file__).parents[1], timeout=50
    )
    if asked.returncode != 0:
        pytest.skip(f"not permitted: {asked.stderr.strip()}")
    assert asked.stdout.startswith("cannot make the BPF map svc_entries: it needs the capabilities BPF and NET_ADMIN")
    assert len(asked.stdout.splitlines()) == 1
    for place in ("run as root", "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN", "securityContext", "setcap"):
        assert place in asked.stdout


def test_a_machine_whose_system_calls_are_not_known_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "pdp11")
    with pytest.raises(BpfError, match="cannot try it: not known how to on pdp11") as raised:
        bpf(Command.MAP_CREATE, bytes(72), "try it")
    assert raised.value.errno == errno.ENOSYS


def test_an_error_that_has_no_way_out_of_ours_is_the_kernels_word() -> None:
    assert str(BpfError("do it", errno.EBUSY)) == "cannot do it: Device or resource busy"
