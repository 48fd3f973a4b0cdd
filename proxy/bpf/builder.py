"""A builder of BPF programs whose lines read like an assembler's.

Invariant: pure; what is built holds exactly the instructions that were asked for, in that order.
"""

from proxy.bpf.assembler import assemble
from proxy.bpf.instruction import Instruction, Label, Register

# The kernel's documentation and the verifier's log use these names.
R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, FP = Register

# Documentation/bpf/standardization/instruction-set.rst.
_SIZES = {1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18}
_ARITHMETIC = {
    "+": 0x00,
    "-": 0x10,
    "*": 0x20,
    "|": 0x40,
    "&": 0x50,
    "<<": 0x60,
    ">>": 0x70,
    "%": 0x90,
    "^": 0xA0,
    "=": 0xB0,
}
_CONDITIONS = {"==": 0x10, ">": 0x20, ">=": 0x30, "&": 0x40, "!=": 0x50, "<": 0xA0, "<=": 0xB0}
_FROM_REGISTER = 0x08
_FUNCTION = 4  # BPF_PSEUDO_FUNC
_MAP = 1  # BPF_PSEUDO_MAP_FD
_FETCH = 1

Value = Register | int


class Code(bytes):
    """A program's bytes. `functions` are the slots at which the functions begin that it hands to helpers."""

    functions: tuple[int, ...] = ()


class ProgramBuilder:
    """Collects lines; `code` assembles them. Numbers are taken modulo 2**32 where an instruction has 32 bits."""

    def __init__(self) -> None:
        self._lines: list[Instruction | Label] = []
        self._names = 0
        self._functions: list[tuple[int, str]] = []

    def name(self, text: str) -> str:
        """A label's name that is used nowhere else in this program."""
        self._names += 1
        return f"{text}#{self._names}"

    def label(self, name: str) -> None:
        """Jumps to `name` lead here."""
        self._lines.append(Label(name))

    def compute(self, target: Register, operation: str, value: Value, bits: int = 64) -> None:
        """target = target `operation` value; `=` moves."""
        code = _ARITHMETIC[operation] | (0x07 if bits == 64 else 0x04)
        self._with_value(code, target, value)

    def move(self, target: Register, value: Value) -> None:
        """target = value."""
        self.compute(target, "=", value)

    def constant(self, target: Register, value: int) -> None:
        """target = any value of 64 bits."""
        self._lines.append(Instruction(0x18, target, immediate=value))

    def to_host_order(self, target: Register, bits: int) -> None:
        """target = its lowest 16 or 32 bits, turned from network order to the machine's."""
        self._lines.append(Instruction(0xDC, target, immediate=bits))

    def load(self, size: int, target: Register, base: Register, offset: int = 0) -> None:
        """target = the `size` bytes at base + offset."""
        self._lines.append(Instruction(0x61 | _SIZES[size], target, base, offset))

    def store(self, size: int, base: Register, offset: int, value: Value) -> None:
        """The `size` bytes at base + offset = value."""
        if isinstance(value, Register):
            self._lines.append(Instruction(0x63 | _SIZES[size], base, value, offset))
        else:
            self._lines.append(Instruction(0x62 | _SIZES[size], base, 0, offset, _signed(value)))

    def copy(self, size: int, target: tuple[Register, int], source: tuple[Register, int], by: Register = R1) -> None:
        """`size` bytes, in pieces as large as possible, through a register."""
        done = 0
        while done < size:
            piece = next(each for each in (8, 4, 2, 1) if each <= size - done)
            self.load(piece, by, source[0], source[1] + done)
            self.store(piece, target[0], target[1] + done, by)
            done += piece

    def add_atomically(self, base: Register, offset: int, value: Register, fetch: bool = False) -> None:
        """The 64 bits at base + offset += value; with `fetch`, value becomes what was there before (Linux 5.12)."""
        self._lines.append(Instruction(0xDB, base, value, offset, _FETCH if fetch else 0))

    def jump(self, target: str) -> None:
        """Go on at the label."""
        self._lines.append(Instruction(0x05, target=target))

    def when(self, register: Register, condition: str, value: Value, target: str, bits: int = 64) -> None:
        """Go on at the label if the condition holds; numbers are compared unsigned."""
        code = _CONDITIONS[condition] | (0x05 if bits == 64 else 0x06)
        self._with_value(code, register, value, target)

    def call(self, helper: int) -> None:
        """R0 = helper(R1 to R5); R1 to R5 are lost."""
        self._lines.append(Instruction(0x85, immediate=helper))

    def leave(self, value: int | None = None) -> None:
        """End the program or function, with `value` or with what is in R0."""
        if value is not None:
            self.move(R0, value)
        self._lines.append(Instruction(0x95))

    def stack(self, target: Register, offset: int) -> None:
        """target = the address of a place on the stack."""
        self.move(target, FP)
        self.compute(target, "+", offset)

    def map(self, target: Register, descriptor: int) -> None:
        """target = the map that is open in this process as `descriptor`."""
        self._lines.append(Instruction(0x18, target, _MAP, immediate=descriptor))

    def function(self, target: Register, label: str) -> None:
        """target = the function that begins at the label, for helpers that call one (Linux 5.13)."""
        self._functions.append((len(self._lines), label))
        self._lines.append(Instruction(0x18, target, _FUNCTION))

    def code(self) -> Code:
        """The program's bytes. Raises ValueError for a jump that leads nowhere."""
        text = bytearray(assemble(self._lines))
        for line, label in self._functions:
            here, there = self._slot_of(line), self._slot_of(self._lines.index(Label(label)))
            text[here * 8 + 4 : here * 8 + 8] = (there - here - 1).to_bytes(4, "little", signed=True)
        code = Code(text)
        code.functions = tuple(sorted({self._slot_of(self._lines.index(Label(label))) for _, label in self._functions}))
        return code

    def _with_value(self, code: int, register: Register, value: Value, target: str = "") -> None:
        if isinstance(value, Register):
            self._lines.append(Instruction(code | _FROM_REGISTER, register, value, target=target))
        else:
            self._lines.append(Instruction(code, register, immediate=_signed(value), target=target))

    def _slot_of(self, line: int) -> int:
        return sum(each.slots for each in self._lines[:line] if isinstance(each, Instruction))


def _signed(value: int) -> int:
    return value if value < 1 << 31 else value - (1 << 32)
