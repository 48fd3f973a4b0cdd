"""One kind as `svcproxy get` shows it, first everything and then what is news.

Invariant: what the flags leave out is left out of every look.
"""

from collections.abc import Sequence
from typing import NamedTuple

from proxy.client.columns import GONE, render, shown, sort
from proxy.client.kinds import Kind, Listing
from proxy.client.output_format import Format, data_text
from proxy.client.watch import DELETED, EVENT, News, Watch, of_news
from proxy.plain_text import plain


class Wishes(NamedTuple):
    """How it shall be shown, whatever the kind."""

    format: Format
    namespaces: bool
    headers: bool
    events: bool
    sort_by: str


class GetView:
    """Remembers what it showed. Raises ValueError where there is no column to sort by."""

    def __init__(self, kind: Kind, wishes: Wishes, single: bool) -> None:
        columns = shown(kind.columns, wishes.format.name == "wide")
        if not wishes.namespaces:
            columns = tuple(column for column in columns if column.header != "NAMESPACE")
        self._watch = Watch(columns, kind.identity)
        self._columns = (*((EVENT,) if wishes.events else ()), *map(of_news, columns))
        self._kind = kind
        self._wishes = wishes
        self._single = single
        self._sorted([])

    def first(self, listing: Listing) -> str:
        """Everything, with headers."""
        return self._text(self._watch.look(listing.things), self._wishes.headers)

    def next(self, listing: Listing) -> str:
        """What is news since the last look."""
        news = self._watch.look(listing.things, listing.complete)
        return self._text(news, headers=False) if news else ""

    def _text(self, news: Sequence[News], headers: bool) -> str:
        found = self._sorted(news)
        format = self._wishes.format
        if format.is_data:
            return data_text(format, [self._datum(each) for each in found], single=self._single, headers=headers)
        if format.name == "name":
            return "".join(map(self._name, found))
        return render(found, self._columns, headers) if found else ""

    def _datum(self, news: News) -> object:
        return {"type": news.event, "object": news.thing} if self._wishes.events else news.thing

    def _name(self, news: News) -> str:
        event = f"{news.event} " if self._wishes.events else ""
        name = plain(self._kind.name_of(news.thing))
        return f"{event}{name}{f' {GONE}' if news.event == DELETED else ''}\n"

    def _sorted(self, news: Sequence[News]) -> Sequence[News]:
        by = self._wishes.sort_by
        return sort(news, self._columns, by) if by else news
