"""Frames: what comes out is what was sent, however the stream cuts it."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.wire import FrameReader, framed

messages = st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 5)), max_size=10)


@given(messages, st.lists(st.integers(1, 50), min_size=1))
def test_messages_come_out_whole_with_their_descriptors(sent: list[tuple[bytes, int]], cuts: list[int]) -> None:
    """The kernel delivers descriptors with the first byte of their message."""
    reader, received = FrameReader(), []
    last = 0
    step = 0
    for payload, count in sent:
        descriptors = list(range(last, last + count))
        last += count
        data = framed(payload, count)
        while data:
            cut = cuts[step % len(cuts)]
            step += 1
            reader.feed(data[:cut], descriptors)
            data, descriptors = data[cut:], []
            while (message := reader.next()) is not None:
                received.append(message)
    assert [payload for payload, _ in received] == [payload for payload, _ in sent]
    assert [len(descriptors) for _, descriptors in received] == [count for _, count in sent]
    assert [each for _, descriptors in received for each in descriptors] == list(range(last))
    assert reader.next() is None


def test_several_messages_may_come_at_once() -> None:
    reader = FrameReader()
    reader.feed(framed(b"a", 1) + framed(b"") + framed(b"c", 2), [7, 8, 9])
    assert [reader.next() for _ in range(4)] == [(b"a", [7]), (b"", []), (b"c", [8, 9]), None]
