"""From instructions and labels to the bytes of a program.

Pure. Invariant: what is assembled has no jump that leads nowhere.
"""

from collections.abc import Iterable

from proxy.bpf.instruction import Instruction, Label


def assemble(lines: Iterable[Instruction | Label]) -> bytes:
    """The program's bytes. Raises ValueError for a jump to a label that is not there, and for a label that is twice."""
    program = list(lines)
    places = _places(program)
    encoded: list[bytes] = []
    slot = 0
    for line in program:
        if isinstance(line, Label):
            continue
        slot += line.slots
        encoded.append(line.encoded(_distance(line, slot, places)))
    return b"".join(encoded)


def _places(program: Iterable[Instruction | Label]) -> dict[str, int]:
    places: dict[str, int] = {}
    slot = 0
    for line in program:
        if isinstance(line, Instruction):
            slot += line.slots
        elif line.name in places:
            raise ValueError(f"the label {line.name!r} is there twice")
        else:
            places[line.name] = slot
    return places


def _distance(line: Instruction, following: int, places: dict[str, int]) -> int:
    """Slots from the one that follows the jump to its target."""
    if not line.target:
        return 0
    if line.target not in places:
        raise ValueError(f"a jump leads to {line.target!r}, which is no label of the program")
    return places[line.target] - following
