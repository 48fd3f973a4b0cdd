"""Asking a responder as a resolver would, and what it said."""

from typing import Any

import dns.message

from proxy.dns.name_index import NameIndex
from proxy.dns.responder import Responder

PODS = "pods.default.svc.cluster.local."
WEB = "web.default.svc.cluster.local."


class Client:
    """Asks a responder as a resolver would."""

    def __init__(self, index: NameIndex, datagrams: bool = True) -> None:
        self.responder = Responder(index, 5, datagrams, recursive=False)

    def ask(self, name: str, record_type: str = "A", **options: Any) -> dns.message.Message:
        query = dns.message.make_query(name, record_type, **options)
        response = self.responder.respond(query.to_wire())
        assert isinstance(response, bytes)
        message = dns.message.from_wire(response)
        assert query.is_response(message)
        return message


def addresses(message: dns.message.Message) -> list[str]:
    return [data.to_text() for records in message.answer for data in records]


def additional(message: dns.message.Message) -> list[tuple[str, str]]:
    return [(str(records.name), data.to_text()) for records in message.additional for data in records]
