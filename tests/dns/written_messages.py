"""Messages as dnspython writes them, for the tests that read them: of any types, with names that share their ends."""

import dns.flags
import dns.message
import dns.rrset
from hypothesis import strategies as st

names = st.builds(
    lambda labels, end: ".".join([*labels, end]),
    st.lists(st.sampled_from(["a", "WWW", "b" * 63, "_tcp"]), max_size=2),
    st.sampled_from(["example.", "EXAMPLE.", "x.Example.", "other."]),
)
data = st.one_of(
    st.just(("A", "192.0.2.1")),
    st.just(("AAAA", "2001:db8::1")),
    st.just(("TXT", '"some text" "more"')),
    names.map(lambda name: ("CNAME", name)),
    names.map(lambda name: ("NS", name)),
    names.map(lambda name: ("PTR", name)),
    names.map(lambda name: ("MX", f"10 {name}")),
    names.map(lambda name: ("SRV", f"1 2 3 {name}")),
    st.tuples(names, names).map(lambda both: ("SOA", f"{both[0]} {both[1]} 1 2 3 4 5")),
    st.tuples(names, names).map(lambda both: ("RP", f"{both[0]} {both[1]}")),
    names.map(lambda name: ("HTTPS", f"1 {name} alpn=h2")),
    names.map(lambda name: ("NAPTR", f'1 2 "u" "" "" {name}')),
)
records = st.lists(st.tuples(names, st.integers(0, 2**31 - 1), data), max_size=4)


Given = list[tuple[str, int, tuple[str, str]]]
"""Owner, time to live, type and value of each record of a section."""


def message(question: str, *sections: Given) -> dns.message.Message:
    made = dns.message.make_query(question, "A")
    made.flags |= dns.flags.QR
    for section, found in zip((made.answer, made.authority, made.additional), sections, strict=False):
        section += [dns.rrset.from_text(name, ttl, "IN", *value) for name, ttl, value in found]
    return made
