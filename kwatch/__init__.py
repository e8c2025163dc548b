"""kwatch: watch a Kubernetes cluster change, and act on it from a script."""

__version__ = "0.1.0"
