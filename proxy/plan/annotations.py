"""The annotations by which a Service asks for something of this proxy.

Invariant: what cannot be used is a finding, never a failure; the configured value then stands in for it.
"""

import difflib
from collections.abc import Iterator, Mapping

import msgspec

from proxy.model import field_errors
from proxy.model.duration import parse_duration
from proxy.model.problem import FieldError
from proxy.model.service_validation import TOPOLOGY_HINTS_ANNOTATION, TOPOLOGY_MODE_ANNOTATION
from proxy.plan.settings import PlanSettings

SCHEDULER = "svcproxy.io/scheduler"
IDLE_TIMEOUT = "svcproxy.io/idle-timeout"
CONNECT_TIMEOUT = "svcproxy.io/connect-timeout"
PATH = "svcproxy.io/path"
_PATHS = ("kernel", "relay")
_OURS = frozenset((SCHEDULER, IDLE_TIMEOUT, CONNECT_TIMEOUT, PATH))
_READ = (*sorted(_OURS), TOPOLOGY_MODE_ANNOTATION, TOPOLOGY_HINTS_ANNOTATION)
_OUR_DOMAIN = "svcproxy.io"
_DOMAINS = ("svcproxy", "service.kubernetes.io")
_ALIKE = 0.85


class ServiceOptions(msgspec.Struct, frozen=True):
    """What the annotations and the settings come to; seconds. An `idle_timeout` of None is the protocol's own.
    `path` is "relay", "kernel" or empty; `needs` are the annotations that only the relay can honour."""

    scheduler: str
    connect_timeout: float
    idle_timeout: float | None
    problems: tuple[FieldError, ...]
    path: str = ""
    needs: tuple[str, ...] = ()


def read_annotations(annotations: Mapping[str, str], settings: PlanSettings) -> ServiceOptions:
    """Read the annotations of one Service."""
    problems = list(_misspelt(annotations))
    if _OURS.isdisjoint(annotations):
        return ServiceOptions(settings.scheduler, settings.connect_timeout, None, tuple(problems))
    scheduler = _scheduler(annotations, settings, problems)
    connect_timeout = _duration(annotations, CONNECT_TIMEOUT, problems, positive=True)
    idle_timeout = _duration(annotations, IDLE_TIMEOUT, problems)
    path = _path(annotations, problems)
    return ServiceOptions(
        scheduler=scheduler,
        connect_timeout=settings.connect_timeout if connect_timeout is None else connect_timeout,
        idle_timeout=idle_timeout,
        path=path,
        needs=tuple(
            name
            for name, value in ((CONNECT_TIMEOUT, connect_timeout), (IDLE_TIMEOUT, idle_timeout))
            if value is not None
        ),
        problems=tuple(problems),
    )


def _misspelt(annotations: Mapping[str, str]) -> Iterator[FieldError]:
    """The annotations in our domain that mean nothing, and those elsewhere that are nearly one which is read."""
    for name in annotations:
        if name in _READ or not _may_be_meant_for_us(name):
            continue
        near = difflib.get_close_matches(name, _READ, n=1, cutoff=_ALIKE)
        if near or name.startswith(f"{_OUR_DOMAIN}/"):
            hint = f'did you mean "{near[0]}"?' if near else f"the annotations are {', '.join(sorted(_OURS))}"
            yield field_errors.invalid(_field(name), annotations[name], f"unknown annotation: {hint}")


def _may_be_meant_for_us(name: str) -> bool:
    """A cheap look that leaves out nearly all annotations of others: the first letter and the length of the domain."""
    domain = name.partition("/")[0]
    if domain.startswith(_DOMAINS):
        return True
    return domain[:1] in "sv" and abs(len(domain) - len(_OUR_DOMAIN)) <= 1


def _path(annotations: Mapping[str, str], problems: list[FieldError]) -> str:
    path = annotations.get(PATH, "")
    if PATH not in annotations or path in _PATHS:
        return path
    problems.append(field_errors.not_supported(_field(PATH), path, _PATHS))
    return ""


def _scheduler(annotations: Mapping[str, str], settings: PlanSettings, problems: list[FieldError]) -> str:
    name = annotations.get(SCHEDULER, settings.scheduler)
    if name in settings.schedulers or SCHEDULER not in annotations:
        return name
    problems.append(field_errors.not_supported(_field(SCHEDULER), name, sorted(settings.schedulers)))
    return settings.scheduler


def _duration(
    annotations: Mapping[str, str], annotation: str, problems: list[FieldError], positive: bool = False
) -> float | None:
    text = annotations.get(annotation)
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        problems.append(field_errors.invalid(_field(annotation), text, str(error)))
        return None
    if positive and not seconds:
        problems.append(field_errors.invalid(_field(annotation), text, "must be greater than 0"))
        return None
    return seconds


def _field(annotation: str) -> str:
    return f"metadata.annotations[{annotation}]"
