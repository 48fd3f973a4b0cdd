"""Why an allocator did not give what it was asked for.

Invariant: the texts are those of the API server's allocators (pkg/registry/core/service/ipallocator and
portallocator).
"""


class AllocationError(Exception):
    """An allocator's refusal; its text is the API server's."""


class RangeFullError(AllocationError):
    """Nothing is left to give."""

    def __init__(self) -> None:
        super().__init__("range is full")


class AlreadyAllocatedError(AllocationError):
    """The value asked for belongs to somebody."""


class OutsideRangeError(AllocationError):
    """The value asked for can never be had from this range."""
