"""The asyncio client: `python asyncio_client.py URL` lists in pages, watches to the end, prints each event as JSON."""

from __future__ import annotations

import asyncio
import json
import sys

from kubernetes_asyncio import client, watch


async def main() -> None:
    """As its documentation does it."""
    async with client.ApiClient(client.Configuration(host=sys.argv[1])) as api_client:
        api = client.CoreV1Api(api_client)
        more, version = {}, ""
        while True:
            page = await api.list_namespaced_pod("default", limit=500, **more)
            for pod in page.items:
                show("ADDED", api_client.sanitize_for_serialization(pod))
            token, version = page.metadata._continue, page.metadata.resource_version
            more = {"_continue": token}
            if not token:
                break
        try:
            async with watch.Watch().stream(api.list_namespaced_pod, "default", resource_version=version) as stream:
                async for event in stream:
                    show(event["type"], event["raw_object"])
        except client.ApiException as error:
            if error.status != 403:
                raise


def show(kind: str, value: dict) -> None:
    """A line."""
    value["metadata"].pop("managedFields", None)
    sys.stdout.write(json.dumps({"type": kind, "object": value}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
