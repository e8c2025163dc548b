"""The Python client: `python python_client.py URL` lists in pages, watches to the end, prints each event as JSON."""

from __future__ import annotations

import json
import sys

from kubernetes import client, watch


def main() -> None:
    """As its documentation does it."""
    configuration = client.Configuration()
    configuration.host = sys.argv[1]
    api = client.CoreV1Api(client.ApiClient(configuration))
    more, version = {}, ""
    while True:
        page = api.list_namespaced_pod("default", limit=500, **more)
        for pod in page.items:
            show("ADDED", api.api_client.sanitize_for_serialization(pod))
        token, version = page.metadata._continue, page.metadata.resource_version
        more = {"_continue": token}
        if not token:
            break
    try:
        for event in watch.Watch().stream(api.list_namespaced_pod, "default", resource_version=version):
            show(event["type"], event["raw_object"])
    except client.ApiException as error:
        if error.status != 403:
            raise


def show(kind: str, value: dict) -> None:
    """A line."""
    value["metadata"].pop("managedFields", None)
    sys.stdout.write(json.dumps({"type": kind, "object": value}) + "\n")


if __name__ == "__main__":
    main()
