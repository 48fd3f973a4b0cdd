"""svcproxy: a userspace L4 load-balancing proxy for Kubernetes Services."""

__version__ = "0.1.0"
