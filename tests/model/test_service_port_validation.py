"""The rules about a Service's ports, with the API server's exact words."""

import pytest

from tests.model.service_errors import LABEL_RULE, PORT_RANGE, errors_of


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        ({"ports": [{"name": "a", "port": 80}, {"port": 81}]}, ["spec.ports[1].name: Required value"]),
        (
            {"ports": [{"name": "http", "port": 80}, {"name": "http", "port": 81}]},
            ['spec.ports[1].name: Duplicate value: "http"'],
        ),
        ({"ports": [{"name": "HTTP", "port": 80}]}, [f'spec.ports[0].name: Invalid value: "HTTP": {LABEL_RULE}']),
        (
            {"ports": [{"port": 0}]},
            [
                f"spec.ports[0].port: Invalid value: 0: {PORT_RANGE}",
                f"spec.ports[0].targetPort: Invalid value: 0: {PORT_RANGE}",
            ],
        ),
        ({"ports": [{"port": 65536, "targetPort": 80}]}, [f"spec.ports[0].port: Invalid value: 65536: {PORT_RANGE}"]),
        (
            {"ports": [{"port": 80, "targetPort": 70000}]},
            [f"spec.ports[0].targetPort: Invalid value: 70000: {PORT_RANGE}"],
        ),
        (
            {"ports": [{"port": 80, "targetPort": "8080"}]},
            ['spec.ports[0].targetPort: Invalid value: "8080": must contain at least one letter (a-z)'],
        ),
        (
            {"ports": [{"port": 80, "protocol": "HTTP"}]},
            ['spec.ports[0].protocol: Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            {"ports": [{"port": 80, "appProtocol": "/h2c"}]},
            ['spec.ports[0].appProtocol: Invalid value: "/h2c": prefix part must be non-empty'],
        ),
        (
            {"ports": [{"port": 80, "nodePort": 30080}]},
            ["spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"],
        ),
        (
            {
                "type": "NodePort",
                "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81, "nodePort": 30080}],
            },
            ["spec.ports[1].nodePort: Duplicate value: 30080"],
        ),
        (
            {"ports": [{"name": "a", "port": 80}, {"name": "b", "port": 80}]},
            [
                'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,'
                '"TargetPort":0,"NodePort":0}'
            ],
        ),
    ],
)
def test_refuses_with_the_words_of_the_api_server(spec: dict[str, object], errors: list[str]) -> None:
    assert errors
    assert errors_of(spec) == errors
