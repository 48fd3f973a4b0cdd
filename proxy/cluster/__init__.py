"""What a control plane does for Services, where there is none: addresses, ports and EndpointSlices.

No I/O and no clock; randomness is passed in. Invariant: a Service keeps its addresses for life, and what leaves this
room could have come from a real API server.
"""
