"""Names: the cluster's DNS where there is no cluster (Kubernetes DNS specification 1.1).

Modules without asyncio decide what is answered; the servers and the forwarder act. Invariant: what is answered is what
the Services and EndpointSlices of this moment say.
"""
