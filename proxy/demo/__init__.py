"""The demo: small servers in the part of pods, and the words that lead a newcomer through it.

May import `model`, `documents`, `admin`, the port holder of `control`, and aiohttp; only `commands.demo` imports this
room. Invariant: the proxy in front of these servers is the real one and knows nothing of the demo.
"""
