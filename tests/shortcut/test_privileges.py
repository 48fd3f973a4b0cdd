"""The programs with two capabilities and no more: without CAP_PERFMON the verifier finds what it lets root do."""

import subprocess
import sys
from pathlib import Path

import pytest

_LOADS = """
import sys
from pathlib import Path
from proxy.shortcut.attachment import Attachment
from proxy.shortcut.maps import Capacities, Maps
from proxy.shortcut.programs import programs

held = next(line for line in open("/proc/self/status") if line.startswith("CapEff"))
assert int(held.split()[1], 16) == 1 << 12 | 1 << 39, held
maps = Maps(Capacities(8, 8, 8, 8, 8, 8, 8))
attachment = Attachment(programs(maps, 60.0), (Path(sys.argv[1]),), None)
attachment.attach()
print(*sorted(hook.name for hook in programs(maps, 60.0)))
attachment.close()
"""


@pytest.mark.requires("setpriv")
def test_all_programs_load_and_attach_with_bpf_and_net_admin_alone(cgroup: Path, network_namespace: None) -> None:
    only = "-all,+bpf,+net_admin"
    command = ["setpriv", f"--inh-caps={only}", f"--bounding-set={only}", sys.executable, "-c", _LOADS, str(cgroup)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 10
