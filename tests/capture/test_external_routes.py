"""Routes to external addresses, in a network namespace that ends with its process."""

import pytest

from tests.capture.test_service_routes import in_a_namespace

pytestmark = pytest.mark.requires("unshare", "ip")
SETUP = """
        import asyncio, socket, subprocess
        from proxy.capture.external_routes import ExternalRoutes
        from proxy.capture.listening_socket import open_listening_socket
        from proxy.plan.frontend import FrontendKey
        def local(address):
            family = "-6" if ":" in address else "-4"
            return address in subprocess.check_output(["ip", family, "route", "show", "table", "local"], text=True)
        def reached(key):
            with open_listening_socket(key, routed=True) as sock, socket.create_connection(key[1:], 5):
                return True
"""


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_in_a_range_is_local_as_long_as_a_frontend_has_it(address: str) -> None:
    lines = in_a_namespace(
        SETUP
        + f"""
        routes = ExternalRoutes(["192.0.2.0/24", "2001:db8::/64"])
        web, tls = FrontendKey("TCP", "{address}", 80), FrontendKey("TCP", "{address}", 443)
        async def main():
            print(routes.hold(web), routes.hold(tls), routes.hold(web), local("{address}"), reached(web))
            routes.release(tls)
            print(local("{address}"))
            routes.release(web)
            routes.release(web)
            print(local("{address}"))
            routes.hold(web)
            await asyncio.to_thread(routes.remove)
            print(local("{address}"))
        asyncio.run(main())
    """
    )
    assert lines == ["True True True True True", "True", "False", "False"]


def test_addresses_beyond_the_ranges_and_routes_of_others_are_left_alone() -> None:
    lines = in_a_namespace(
        SETUP
        + """
        routes = ExternalRoutes(["2001:db8::/64"])
        print(routes.hold(FrontendKey("TCP", "192.0.2.7", 80)), local("192.0.2.7"))
        subprocess.run(["ip", "route", "add", "local", "2001:db8::9", "dev", "lo"], check=True)
        key = FrontendKey("TCP", "2001:db8::9", 80)
        print(routes.hold(key), reached(key))
        routes.release(key)
        routes.remove()
        print(local("2001:db8::9"))
    """
    )
    assert lines == ["False False", "True True", "True"]
