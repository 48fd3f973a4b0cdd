"""The cache's lifetimes, with a clock of the test's own."""

from proxy.schedulers.destination_cache import CROWDED, CROWDED_LIFETIME, LIFETIME, DestinationCache


def test_gives_back_what_was_stored() -> None:
    cache: DestinationCache[str] = DestinationCache()
    cache.put(1, "one", 0.0)
    assert (cache.get(1, 5.0), cache.get(2, 5.0)) == ("one", None)


def test_an_entry_unused_for_a_day_is_dropped() -> None:
    cache: DestinationCache[str] = DestinationCache()
    cache.put(1, "one", 0.0)
    assert cache.get(2, LIFETIME) is None
    assert len(cache) == 1
    assert cache.get(2, LIFETIME + 1) is None
    assert len(cache) == 0


def test_every_use_begins_the_lifetime_again() -> None:
    cache: DestinationCache[str] = DestinationCache()
    cache.put(1, "one", 0.0)
    cache.put(2, "two", 1.0)
    assert cache.get(1, LIFETIME) == "one"
    assert cache.get(1, LIFETIME * 2) == "one"
    assert cache.choices() == ["one"]


def test_a_crowded_cache_drops_what_is_unused_for_minutes_until_it_is_not_crowded() -> None:
    cache: DestinationCache[int] = DestinationCache()
    for key in range(CROWDED + 5):
        cache.put(key, key, 0.0)
    assert cache.get(CROWDED, CROWDED_LIFETIME) == CROWDED
    assert len(cache) == CROWDED + 5
    assert cache.get(CROWDED, CROWDED_LIFETIME + 1) == CROWDED
    assert len(cache) == CROWDED
    assert cache.get(4, CROWDED_LIFETIME + 1) is None


def test_discards_the_choices_that_are_gone() -> None:
    cache: DestinationCache[str] = DestinationCache()
    for key, choice in enumerate("abab"):
        cache.put(key, choice, 0.0)
    cache.discard(lambda choice: choice == "a")
    assert cache.choices() == ["b", "b"]
