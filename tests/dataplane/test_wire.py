"""Frames: what comes out is what was sent, however the stream cuts it."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.wire import FrameReader, Head, framed, head_of


@given(st.lists(st.binary(max_size=300), max_size=10), st.lists(st.integers(1, 50), min_size=1))
def test_messages_come_out_whole(sent: list[bytes], cuts: list[int]) -> None:
    reader, received = FrameReader(), []
    step = 0
    for payload in sent:
        data = framed(payload)
        while data:
            cut = cuts[step % len(cuts)]
            step += 1
            reader.feed(data[:cut])
            data = data[cut:]
            while (message := reader.next()) is not None:
                received.append(message)
    assert received == sent
    assert reader.next() is None


@given(st.binary(max_size=300), st.integers(0, 250))
def test_a_head_says_how_long_its_message_is_and_how_many_sockets_come_with_it(payload: bytes, sockets: int) -> None:
    assert head_of(framed(payload, sockets)) == Head(len(payload), sockets)


def test_several_messages_may_come_at_once() -> None:
    reader = FrameReader()
    reader.feed(framed(b"a") + framed(b"") + framed(b"c"))
    assert [reader.next() for _ in range(4)] == [b"a", b"", b"c", None]
