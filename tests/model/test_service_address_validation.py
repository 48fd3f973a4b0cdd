"""The rules about a Service's addresses, ranges and families, with the API server's exact words."""

import pytest

from tests.model.service_errors import NOT_AN_ADDRESS, ONLY_LOAD_BALANCER, errors_of


@pytest.mark.parametrize(
    ("spec", "errors"),
    [
        # clusterIP(s) and families.
        ({"clusterIP": "10.0.0"}, [f'spec.clusterIPs[0]: Invalid value: "10.0.0": {NOT_AN_ADDRESS}']),
        ({"clusterIP": "none"}, [f'spec.clusterIPs[0]: Invalid value: "none": {NOT_AN_ADDRESS}']),
        ({"clusterIP": "010.0.0.1"}, ['spec.clusterIPs[0]: Invalid value: "010.0.0.1": must not have leading 0s']),
        (
            {"clusterIP": "::ffff:10.0.0.1"},
            ['spec.clusterIPs[0]: Invalid value: "::ffff:10.0.0.1": must not be an IPv4-mapped IPv6 address'],
        ),
        (
            {"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]},
            ['spec.clusterIPs: Invalid value: ["10.0.0.2"]: first value must match `clusterIP`'],
        ),
        (
            {"clusterIPs": ["10.0.0.1", "10.0.0.2"]},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.1","10.0.0.2"]:'
                " may specify no more than one IP for each IP family"
            ],
        ),
        (
            {"clusterIPs": ["10.0.0.1", "fd00::1", "fd00::2"]},
            [
                'spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","fd00::2"]: may only hold up to 2 values',
                'spec.clusterIPs: Invalid value: ["10.0.0.1","fd00::1","fd00::2"]:'
                " may specify no more than one IP for each IP family",
            ],
        ),
        (
            {"clusterIPs": ["None", "10.0.0.1"]},
            ['spec.clusterIPs: Invalid value: ["None","10.0.0.1"]: \'None\' must be the first and only value'],
        ),
        (
            {"clusterIPs": ["10.0.0.1", "None"]},
            [f'spec.clusterIPs[1]: Invalid value: "None": {NOT_AN_ADDRESS}'],
        ),
        (
            {"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]},
            ['spec.clusterIPs[0]: Invalid value: "10.0.0.1": expected an IPv6 value as indicated by `ipFamilies[0]`'],
        ),
        ({"ipFamilies": ["IPv5"]}, ['spec.ipFamilies[0]: Unsupported value: "IPv5": supported values: "IPv4", "IPv6"']),
        ({"ipFamilies": ["IPv4", "IPv4"]}, ['spec.ipFamilies[1]: Duplicate value: "IPv4"']),
        (
            {"ipFamilyPolicy": "Dual"},
            [
                'spec.ipFamilyPolicy: Unsupported value: "Dual": supported values:'
                ' "PreferDualStack", "RequireDualStack", "SingleStack"'
            ],
        ),
        # Headless.
        (
            {"clusterIP": "None", "type": "NodePort"},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"],
        ),
        (
            {"clusterIP": "None", "type": "LoadBalancer"},
            ["spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services"],
        ),
        # externalIPs.
        ({"externalIPs": ["web"]}, [f'spec.externalIPs[0]: Invalid value: "web": {NOT_AN_ADDRESS}']),
        (
            {"externalIPs": ["192.0.2.1", "127.0.0.1"]},
            [
                'spec.externalIPs[1]: Invalid value: "127.0.0.1":'
                " may not be in the loopback range (127.0.0.0/8, ::1/128)"
            ],
        ),
        (
            {"externalIPs": ["0.0.0.0"]},
            ['spec.externalIPs[0]: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'],
        ),
        # loadBalancerSourceRanges.
        ({"loadBalancerSourceRanges": ["10.0.0.0/8"]}, [f"spec.LoadBalancerSourceRanges: {ONLY_LOAD_BALANCER}"]),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8", "x"]},
            [
                'spec.LoadBalancerSourceRanges[1]: Invalid value: "x":'
                " must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            ],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.1/8"]},
            [
                'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.1/8":'
                " must not have bits set beyond the prefix length"
            ],
        ),
    ],
)
def test_refuses_with_the_words_of_the_api_server(spec: dict[str, object], errors: list[str]) -> None:
    assert errors
    assert errors_of(spec) == errors


@pytest.mark.parametrize(
    ("service_type", "ingress", "errors"),
    [
        (
            "LoadBalancer",
            {"ip": "0.0.0.0", "ipMode": "VIP"},
            ['[0].ip: Invalid value: "0.0.0.0": may not be unspecified (0.0.0.0)'],
        ),
        ("LoadBalancer", {"ip": "192.0.2.1"}, []),
        ("LoadBalancer", {"hostname": "lb.example.com"}, []),
        ("LoadBalancer", {"ip": "x"}, [f'[0].ip: Invalid value: "x": {NOT_AN_ADDRESS}']),
        (
            "LoadBalancer",
            {"ip": "192.0.2.1", "ipMode": "X"},
            ['[0].ipMode: Unsupported value: "X": supported values: "Proxy", "VIP"'],
        ),
        ("LoadBalancer", {"ipMode": "VIP"}, ["[0].ipMode: Forbidden: may not be specified when `ip` is not set"]),
        (
            "LoadBalancer",
            {"hostname": "192.0.2.1"},
            ['[0].hostname: Invalid value: "192.0.2.1": must be a DNS name, not an IP address'],
        ),
        ("NodePort", {"ip": "192.0.2.1"}, [": Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]),
    ],
)
def test_holds_the_ingress_of_a_load_balancer_to_the_rules(
    service_type: str, ingress: dict[str, str], errors: list[str]
) -> None:
    found = errors_of({"type": service_type}, status={"loadBalancer": {"ingress": [ingress]}})
    assert found == [f"status.loadBalancer.ingress{error}" for error in errors]
