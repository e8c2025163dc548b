"""The Python client, as its documentation watches: `watching.py URL` prints type, name and version of each event."""

from __future__ import annotations

import sys

from kubernetes import client, watch


def main() -> None:
    """Until it ends by itself."""
    configuration = client.Configuration()
    configuration.host = sys.argv[1]
    api = client.CoreV1Api(client.ApiClient(configuration))
    for event in watch.Watch().stream(api.list_namespaced_pod, "default"):
        metadata = event["object"].metadata
        print(event["type"], metadata.name, metadata.resource_version, flush=True)


if __name__ == "__main__":
    main()
