"""Errors as the API server words them: one exception that carries a `Status`, and a function a cause.

Messages, reasons, codes and details are those of the recordings; only `ApiError` is raised in this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kinds import Kind

TOO_OLD_LIST = "The resourceVersion for the provided list is too old."
TOO_OLD_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)

# What a bare status code says when nothing more is known: (reason, message).
GENERIC = {
    400: ("BadRequest", "the server rejected our request for an unknown reason"),
    401: ("Unauthorized", "Unauthorized"),
    403: ("Forbidden", "forbidden"),
    404: ("NotFound", "the server could not find the requested resource"),
    405: ("MethodNotAllowed", "the server does not allow this method on the requested resource"),
    409: ("Conflict", "the server reported a conflict"),
    410: ("Expired", "The resourceVersion for the provided watch is too old."),
    429: ("TooManyRequests", "Too many requests, please try again later."),
    500: ("InternalError", "Internal error occurred: sandbox fault"),
    503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
    504: ("Timeout", "Timeout: request did not complete within the allotted duration"),
}


class ApiError(Exception):
    """A request that failed; `status()` is the body that the server answers with."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        *,
        details: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        pretty: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.metadata = metadata or {}
        self.headers = headers or {}
        self.pretty = pretty

    def status(self) -> dict[str, Any]:
        """The `Status` object, keys in the server's order; an empty reason is left out, as Go does."""
        body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        body["message"] = self.message
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        body["code"] = self.code
        return body


def generic(code: int) -> ApiError:
    """The error of a bare status code, for faults."""
    reason, message = GENERIC.get(code, ("", f"an error on the server has prevented the request ({code})"))
    return ApiError(code, reason, message)


def _details(kind: Kind, name: str = "") -> dict[str, Any]:
    details = {"name": name, "group": kind.group, "kind": kind.plural}
    return {key: value for key, value in details.items() if value}


def bad_request(message: str) -> ApiError:
    """400 BadRequest."""
    return ApiError(400, "BadRequest", message)


def invalid_version(value: str) -> ApiError:
    """A resourceVersion that is no number: a 500 without a reason, as recorded."""
    message = f'resourceVersion: Invalid value: "{value}": strconv.ParseUint: parsing "{value}": invalid syntax'
    return ApiError(500, "", message)


def invalid_options(field: str, cause: str) -> ApiError:
    """422: list options that contradict each other."""
    details = {
        "group": "meta.k8s.io",
        "kind": "ListOptions",
        "causes": [{"reason": "FieldValueForbidden", "message": f"Forbidden: {cause}", "field": field}],
    }
    message = f'ListOptions.meta.k8s.io "" is invalid: {field}: Forbidden: {cause}'
    return ApiError(422, "Invalid", message, details=details)


def invalid(kind: Kind, name: str, field: str, cause: str) -> ApiError:
    """422: an object that can't be stored."""
    causes = [{"reason": "FieldValueInvalid", "message": cause, "field": field}]
    details = {"name": name, "group": kind.group, "kind": kind.kind, "causes": causes}
    message = f'{kind.qualified_kind} "{name}" is invalid: {field}: {cause}'
    return ApiError(422, "Invalid", message, details={key: value for key, value in details.items() if value})


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(kind: Kind, verb: str, user: str, namespace: str, name: str = "") -> ApiError:
    """403, as RBAC words it."""
    subject = f'{kind.qualified} "{name}"' if name else kind.qualified
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    message = (
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{kind.plural}" '
        f'in API group "{kind.group}" {scope}'
    )
    return ApiError(403, "Forbidden", message, details=_details(kind, name))


def not_found(kind: Kind, name: str) -> ApiError:
    """404 of a named object."""
    return ApiError(404, "NotFound", f'{kind.qualified} "{name}" not found', details=_details(kind, name))


def already_exists(kind: Kind, name: str) -> ApiError:
    """409 of a create."""
    message = f'{kind.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(kind, name))


def conflict(kind: Kind, name: str) -> ApiError:
    """409 of an update with a stale resourceVersion."""
    message = (
        f'Operation cannot be fulfilled on {kind.qualified} "{name}": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    return ApiError(409, "Conflict", message, details=_details(kind, name))


def not_allowed() -> ApiError:
    """405."""
    return ApiError(405, "MethodNotAllowed", GENERIC[405][1], details={})


def not_acceptable() -> ApiError:
    """406, the one Status that the server pretty-prints."""
    message = (
        "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, "
        "application/vnd.kubernetes.protobuf, application/json;stream=watch, "
        "application/vnd.kubernetes.protobuf;stream=watch"
    )
    return ApiError(406, "NotAcceptable", message, details={}, pretty=True)


def unsupported_media(media: str, accepted: str) -> ApiError:
    """415 of a body."""
    message = f"the body of the request was in an unknown format ({media}) - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)


def expired_watch(version: int, oldest: int) -> ApiError:
    """410 of a watch."""
    return ApiError(410, "Expired", f"too old resource version: {version} ({oldest})")


def expired_list() -> ApiError:
    """410 of a list at an exact resourceVersion."""
    return ApiError(410, "Expired", TOO_OLD_LIST)


def expired_continue(token: str) -> ApiError:
    """410 of a page, with a token to go on inconsistently."""
    return ApiError(410, "Expired", TOO_OLD_CONTINUE, metadata={"continue": token})


def too_large(version: int, current: int) -> ApiError:
    """504 of a list at a resourceVersion of the future."""
    details = {
        "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        "retryAfterSeconds": 1,
    }
    message = f"Timeout: Too large resource version: {version}, current: {current}"
    return ApiError(504, "Timeout", message, details=details, headers={"Retry-After": "1"})
