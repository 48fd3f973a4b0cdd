"""What the kernel would not do for us, in one line with the way out.

Invariant: a want of permission names the capabilities and where to grant them.
"""

import errno
from os import strerror

PERMISSION = (
    "it needs the capabilities BPF and NET_ADMIN: run as root, or grant them "
    "(systemd: AmbientCapabilities=CAP_BPF CAP_NET_ADMIN; Kubernetes: securityContext.capabilities.add: "
    "[BPF, NET_ADMIN]; a copy of Python: setcap cap_bpf,cap_net_admin+ep PYTHON)"
)
_OLD_KERNEL = "the kernel does not know it: it needs Linux 5.9 or newer, with CONFIG_BPF_SYSCALL"
_FULL = "it is full: have fewer source ranges, or use capture: bind"
_REASONS = {
    errno.E2BIG: _FULL,  # a hash
    errno.ENOSPC: _FULL,  # a table of prefixes
    errno.ENOMEM: "the kernel has no memory for it: raise the memory limit of this cgroup",
    errno.EPERM: PERMISSION,
    errno.EACCES: PERMISSION,
    errno.ENOSYS: _OLD_KERNEL,
    errno.EINVAL: _OLD_KERNEL,
}


class BpfError(OSError):
    """`doing` failed with the errno `number`; `detail` is what the kernel said of it, if anything."""

    def __init__(self, doing: str, number: int, detail: str = "") -> None:
        super().__init__(number, strerror(number))
        self.doing = doing
        self.detail = detail

    def __str__(self) -> str:
        return f"cannot {self.doing}: {self.detail or _REASONS.get(self.errno or 0, self.strerror)}"
