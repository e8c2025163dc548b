"""The floor: the least that a Python program can do, requests + a UTF-8 decoder + orjson, with no care for any fault.

`python loop.py URL objects|table` reads one watch and prints it as kwatch would, as lines of JSON without managedFields
or as rows. Python of the same version, libraries of the same version.
"""

from __future__ import annotations

import codecs
import sys

import orjson
import requests

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def main() -> None:
    """One watch, from the version it starts at to its end."""
    url, form = sys.argv[1:]
    headers = {"Accept": TABLE if form == "table" else "application/json", "Accept-Encoding": "identity"}
    show = row if form == "table" else line
    decode = codecs.getincrementaldecoder("utf-8")().decode
    write = sys.stdout.buffer.write
    rest = ""
    with requests.get(f"{url}?watch=1", headers=headers, stream=True, timeout=600) as response:
        for data in response.iter_content(65536):
            *lines, rest = (rest + decode(data)).split("\n")
            for text in lines:
                write(show(orjson.loads(text)))


def line(event: dict) -> bytes:
    """A line of JSON."""
    event["object"]["metadata"].pop("managedFields", None)
    return orjson.dumps(event) + b"\n"


def row(event: dict) -> bytes:
    """A row, in columns of a fixed width."""
    [row] = event["object"]["rows"]
    name, ready, status, restarts, age = row["cells"][:5]
    return f"{event['type']:<10}{name:<26}{ready:<8}{status:<10}{restarts:<11}{age}\n".encode()


if __name__ == "__main__":
    main()
