"""Starts and stops the servers of the demo's pods.

Invariant: a failed start leaves nothing running.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from proxy.demo.echo_protocols import EchoDatagramProtocol, EchoStreamProtocol
from proxy.demo.greeting_protocol import GreetingProtocol
from proxy.demo.hello_server import start_hello_server
from proxy.demo.pods import DemoPod
from proxy.demo.port_check import unavailable
from proxy.demo.served import Served
from proxy.model.pod import ContainerPort


@asynccontextmanager
async def running_backends(pods: Iterable[DemoPod], way_round: str) -> AsyncIterator[Served]:
    """Every pod's servers run inside this context, which gives what they served.

    Raises PortUnavailableError, whose text ends in `way_round`. A pod of an unknown role gets no server.
    """
    served = Served()
    async with AsyncExitStack() as stack:
        for pod in pods:
            for port in pod.ports:
                try:
                    await _start(stack, pod, port, served.counter(pod.role, pod.name))
                except OSError as error:
                    raise unavailable(port.protocol, pod.address, port.container_port, error, way_round) from error
        yield served


async def _start(stack: AsyncExitStack, pod: DemoPod, port: ContainerPort, count: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    number = port.container_port
    match pod.role, port.protocol:
        case "myapp", "TCP":
            stack.push_async_callback((await start_hello_server(pod.name, pod.address, number, count)).cleanup)
        case "redis", "TCP":
            greeter = await loop.create_server(partial(GreetingProtocol, pod.name, count), pod.address, number)
            stack.callback(greeter.close)
        case "echo", "TCP":
            echo = await loop.create_server(partial(EchoStreamProtocol, count), pod.address, number)
            stack.callback(echo.close)
        case "echo", "UDP":
            local = (pod.address, number)
            transport, _ = await loop.create_datagram_endpoint(partial(EchoDatagramProtocol, count), local_addr=local)
            stack.callback(transport.close)
