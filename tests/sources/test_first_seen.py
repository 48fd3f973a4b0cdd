"""The age of Services that come from manifests."""

from proxy.model.changes import Changes
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service
from proxy.sources.first_seen import FirstSeen

WEB = Service(ObjectMeta(name="web", namespace="default"))


def age_of(changes: Changes) -> str:
    (service,) = changes.services
    return service.metadata.creation_timestamp


def test_a_service_keeps_the_moment_it_was_first_seen() -> None:
    seen = FirstSeen()
    assert age_of(seen.stamped(Changes(services=(WEB,)), "2026-01-01T00:00:00Z")) == "2026-01-01T00:00:00Z"
    assert age_of(seen.stamped(Changes(services=(WEB,)), "2026-01-02T00:00:00Z")) == "2026-01-01T00:00:00Z"


def test_a_service_that_was_removed_is_new_when_it_comes_back() -> None:
    seen = FirstSeen()
    seen.stamped(Changes(services=(WEB,)), "2026-01-01T00:00:00Z")
    seen.stamped(Changes(removed_services=(WEB.key,)), "2026-01-02T00:00:00Z")
    assert age_of(seen.stamped(Changes(services=(WEB,)), "2026-01-03T00:00:00Z")) == "2026-01-03T00:00:00Z"


def test_a_service_that_says_when_it_was_created_is_believed() -> None:
    old = Service(ObjectMeta(name="web", namespace="default", creation_timestamp="2020-01-01T00:00:00Z"))
    assert age_of(FirstSeen().stamped(Changes(services=(old,)), "2026-01-01T00:00:00Z")) == "2020-01-01T00:00:00Z"


def test_changes_without_services_pass_as_they_are() -> None:
    changes = Changes(removed_slices=(("default", "web-1"),))
    assert FirstSeen().stamped(changes, "2026-01-01T00:00:00Z") is changes
