"""Which cgroup is tried, and what is said where there is none."""

from pathlib import Path

import pytest

from proxy.shortcut import cgroups
from proxy.shortcut.cgroups import UnavailableError, candidates, check_machine

HYBRID = """\
30 23 0:26 / {v1} rw shared:9 - cgroup cgroup rw,memory
42 23 0:37 / {v2} rw shared:10 - cgroup2 cgroup2 rw
"""


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cgroup v2 mount beside v1, with this process in /pod/container."""
    (tmp_path / "unified" / "pod" / "container").mkdir(parents=True)
    mounts, own = tmp_path / "mountinfo", tmp_path / "cgroup"
    mounts.write_text(HYBRID.format(v1=tmp_path / "memory", v2=tmp_path / "unified"))
    own.write_text("4:memory:/elsewhere\n0::/pod/container\n")
    monkeypatch.setattr(cgroups, "MOUNTS", mounts)
    monkeypatch.setattr(cgroups, "OWN_CGROUP", own)
    return tmp_path / "unified"


def test_auto_tries_the_one_that_covers_most_clients_first(mounted: Path) -> None:
    assert candidates("auto") == (mounted, mounted / "pod", mounted / "pod" / "container")


def test_in_a_container_the_hosts_mount_covers_more_than_its_own(mounted: Path, tmp_path: Path) -> None:
    host = tmp_path / "host"
    (host / "pod").mkdir(parents=True)
    with (tmp_path / "mountinfo").open("a") as file:
        file.write(f"55 23 0:37 /../.. {host} rw shared:10 - cgroup2 cgroup2 rw\n")
    assert candidates("auto")[0] == host
    assert candidates(str(mounted / "pod")) == (mounted / "pod",)


def test_a_directory_is_taken_by_name(mounted: Path) -> None:
    assert candidates(str(mounted / "pod")) == (mounted / "pod",)


def test_a_directory_that_is_not_there_is_named(mounted: Path) -> None:
    with pytest.raises(UnavailableError, match=r"^shortcut: /no/such: there is no such directory: name one below"):
        candidates("/no/such")


def test_a_directory_that_is_no_cgroup_is_named(mounted: Path, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=f"is no cgroup v2 directory: name one below {mounted}, or auto"):
        candidates(str(tmp_path))


def test_cgroup_v1_alone_is_not_enough(mounted: Path, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(HYBRID.format(v1="/v1", v2="/v2").splitlines()[0] + "\n")
    with pytest.raises(UnavailableError, match=r"^shortcut: no cgroup v2 is mounted \(mount -t cgroup2"):
        candidates("auto")


@pytest.mark.parametrize(
    ("capabilities", "words"),
    [
        ("0000000000000000", "it needs CAP_BPF and CAP_NET_ADMIN: run as root"),
        ("0000008000000000", "it needs CAP_NET_ADMIN: run as root"),
        ("0000000000001000", "it needs CAP_BPF: run as root"),
    ],
)
def test_a_missing_capability_is_named(
    capabilities: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{capabilities}\n")
    monkeypatch.setattr(cgroups, "STATUS", status)
    with pytest.raises(UnavailableError, match=words):
        check_machine()


def test_an_old_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.release", lambda: "5.10.0-20-amd64")
    with pytest.raises(UnavailableError, match=r"it needs Linux 5\.18 or newer, and this is 5\.10\.0-20-amd64"):
        check_machine()
