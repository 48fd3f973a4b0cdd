"""The programs in the kernel, and the links that attach them to a cgroup.

Invariant: without pins nothing stays attached when this process ends, however it ends. With pins the links stay, and
the next process puts its own programs into them.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.builder import Code
from proxy.bpf.cgroup_link import Hook, link_to_cgroup, open_pinned, pin, program_type, replace_program
from proxy.bpf.program import load_program
from proxy.shortcut.cgroups import UnavailableError
from proxy.shortcut.maps import unpin

_NAME_LENGTH = 15


class Attachment:
    """`cgroup` is the directory that the programs are attached to. `pins` is a directory of a bpffs, or None."""

    def __init__(self, codes: Mapping[Hook, Code], cgroups: Sequence[Path], pins: Path | None) -> None:
        """Loads the programs and finds the first of the cgroups that they may be attached to. Raises UnavailableError
        where that is none, and BpfError where a program is refused."""
        self._links: dict[Hook, int] = {}
        self._pins = pins
        with ExitStack() as stack:
            self._programs = {hook: self._loaded(stack, hook, code) for hook, code in codes.items()}
            self.cgroup, self._directory = self._first_attachable(cgroups)
            stack.pop_all()

    def attach(self) -> None:
        """Put the programs into force. Raises BpfError; then none is in force that was not before."""
        try:
            for hook, program in self._programs.items():
                self._links[hook] = self._link(hook, program)
        except BpfError:
            self.detach()
            raise

    def detach(self) -> None:
        """Take the programs out of force, pinned ones as well. Established connections go on."""
        while self._links:
            hook, link = self._links.popitem()
            if self._pins is not None:
                self._pin_of(hook).unlink(missing_ok=True)
            os.close(link)
        if self._pins is not None:
            unpin(self._pins)

    def close(self) -> None:
        """Take the programs out of force and let go of them."""
        self.detach()
        while self._programs:
            os.close(self._programs.popitem()[1])
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1

    def _loaded(self, stack: ExitStack, hook: Hook, code: Code) -> int:
        # The kernel wants no attach type of sock_ops programs.
        attach = 0 if hook is Hook.SOCK_OPS else hook
        name = f"svc_{hook.name.lower()}"[:_NAME_LENGTH]
        program = load_program(name, program_type(hook), attach, code, code.functions)
        stack.callback(os.close, program)
        return program

    def _first_attachable(self, cgroups: Sequence[Path]) -> tuple[Path, int]:
        """Found out by attaching the cheapest of the programs, for a moment."""
        refusals = []
        for path in cgroups:
            directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.close(link_to_cgroup(self._programs[Hook.RELEASE], directory, Hook.RELEASE))
            except BpfError as error:
                os.close(directory)
                refusals.append(f"{path}: {error.strerror}")
            else:
                return path, directory
        raise UnavailableError(f"shortcut: no cgroup can be attached to ({'; '.join(refusals)})")

    def _link(self, hook: Hook, program: int) -> int:
        if self._pins is None:
            return link_to_cgroup(program, self._directory, hook)
        place = self._pin_of(hook)
        if place.exists():
            # In one step: who connects meets the programs of the time before, or these.
            link = open_pinned(str(place))
            replace_program(link, program)
            return link
        link = link_to_cgroup(program, self._directory, hook)
        pin(link, str(place))
        return link

    def _pin_of(self, hook: Hook) -> Path:
        assert self._pins is not None
        return self._pins / hook.name.lower()
