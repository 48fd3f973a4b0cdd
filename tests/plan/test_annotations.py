"""What a Service asks for by annotation, and what stands in for a mistake."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.annotations import CONNECT_TIMEOUT, IDLE_TIMEOUT, PATH, SCHEDULER, read_annotations
from proxy.plan.settings import PlanSettings

SETTINGS = PlanSettings(scheduler="wrr", schedulers=("wrr", "rr", "sh"), connect_timeout=3.0)


def test_without_annotations_the_settings_hold() -> None:
    options = read_annotations({"unrelated": "x"}, SETTINGS)
    assert (options.scheduler, options.connect_timeout, options.idle_timeout) == ("wrr", 3.0, None)
    assert options.problems == ()


def test_reads_all_three() -> None:
    options = read_annotations({SCHEDULER: "sh", CONNECT_TIMEOUT: "250ms", IDLE_TIMEOUT: "1h30m"}, SETTINGS)
    assert (options.scheduler, options.connect_timeout, options.idle_timeout) == ("sh", 0.25, 5400.0)
    assert options.problems == ()


def test_an_idle_timeout_of_zero_is_no_limit_rather_than_no_annotation() -> None:
    assert read_annotations({IDLE_TIMEOUT: "0"}, SETTINGS).idle_timeout == 0.0


@pytest.mark.parametrize(
    ("annotations", "problem"),
    [
        (
            {SCHEDULER: "x"},
            'metadata.annotations[svcproxy.io/scheduler]: Unsupported value: "x": supported values: "rr", "sh", "wrr"',
        ),
        (
            {SCHEDULER: ""},
            'metadata.annotations[svcproxy.io/scheduler]: Unsupported value: "": supported values: "rr", "sh", "wrr"',
        ),
        (
            {IDLE_TIMEOUT: "10"},
            'metadata.annotations[svcproxy.io/idle-timeout]: Invalid value: "10": invalid duration "10": '
            "use for example 30s, 5m or 1h30m",
        ),
        (
            {CONNECT_TIMEOUT: "-1s"},
            'metadata.annotations[svcproxy.io/connect-timeout]: Invalid value: "-1s": invalid duration "-1s": '
            "use for example 30s, 5m or 1h30m",
        ),
    ],
    ids=str,
)
def test_a_mistake_is_reported_and_the_settings_hold(annotations: dict[str, str], problem: str) -> None:
    options = read_annotations(annotations, SETTINGS)
    assert [str(each) for each in options.problems] == [problem]
    assert (options.scheduler, options.connect_timeout, options.idle_timeout) == ("wrr", 3.0, None)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("svcproxy.io/schedular", SCHEDULER),
        ("svcproxy.io/Scheduler", SCHEDULER),
        ("svcproxy.oi/scheduler", SCHEDULER),
        ("svproxy.io/idle-timeout", IDLE_TIMEOUT),
        ("svcproxy/path", PATH),
        ("svcproxy.io/connectTimeout", CONNECT_TIMEOUT),
        ("service.kubernetes.io/topology-mod", "service.kubernetes.io/topology-mode"),
    ],
)
def test_a_misspelt_annotation_is_told_and_means_nothing(name: str, meant: str) -> None:
    options = read_annotations({name: "1s"}, SETTINGS)
    assert [str(each) for each in options.problems] == [
        f'metadata.annotations[{name}]: Invalid value: "1s": unknown annotation: did you mean "{meant}"?'
    ]
    assert (options.scheduler, options.path, options.idle_timeout) == ("wrr", "", None)


def test_an_annotation_in_our_domain_that_is_like_no_other_is_told_with_those_there_are() -> None:
    (problem,) = read_annotations({"svcproxy.io/x": "y"}, SETTINGS).problems
    assert "unknown annotation: the annotations are svcproxy.io/connect-timeout, " in str(problem)


@pytest.mark.parametrize(
    "name",
    [
        "note",
        "service.kubernetes.io/topology-mode",
        "service.kubernetes.io/qcloud-loadbalancer-id",
        "service.beta.kubernetes.io/aws-load-balancer-type",
        "kubectl.kubernetes.io/last-applied-configuration",
        "scheduler",
    ],
)
def test_annotations_of_others_are_left_alone(name: str) -> None:
    assert read_annotations({name: "x"}, SETTINGS).problems == ()


@pytest.mark.parametrize("path", ["relay", "kernel"])
def test_a_service_may_choose_its_path(path: str) -> None:
    assert read_annotations({PATH: path}, SETTINGS).path == path


def test_an_unknown_path_is_reported_and_nothing_is_chosen() -> None:
    options = read_annotations({PATH: "fast"}, SETTINGS)
    assert options.path == ""
    assert [str(each) for each in options.problems] == [
        'metadata.annotations[svcproxy.io/path]: Unsupported value: "fast": supported values: "kernel", "relay"'
    ]


def test_a_timeout_of_its_own_needs_the_relay() -> None:
    assert read_annotations({IDLE_TIMEOUT: "0", SCHEDULER: "sh"}, SETTINGS).needs == (IDLE_TIMEOUT,)
    assert read_annotations({IDLE_TIMEOUT: "x", CONNECT_TIMEOUT: "1s"}, SETTINGS).needs == (CONNECT_TIMEOUT,)


@given(st.dictionaries(st.sampled_from([SCHEDULER, IDLE_TIMEOUT, CONNECT_TIMEOUT, PATH]), st.text(max_size=8)))
def test_no_value_makes_it_fail_and_a_bad_one_costs_one_finding(annotations: dict[str, str]) -> None:
    options = read_annotations(annotations, SETTINGS)
    assert options.scheduler in SETTINGS.schedulers
    assert len(options.problems) <= len(annotations)


def test_a_connection_must_be_given_some_time_to_be_made() -> None:
    options = read_annotations({"svcproxy.io/connect-timeout": "0", "svcproxy.io/idle-timeout": "0"}, SETTINGS)
    assert (options.connect_timeout, options.idle_timeout) == (3.0, 0.0)
    assert [str(problem) for problem in options.problems] == [
        'metadata.annotations[svcproxy.io/connect-timeout]: Invalid value: "0": must be greater than 0'
    ]
