"""What Cloud Storage says when it refuses: a status, a reason for JSON, a code for XML, and a sentence."""

from typing import Any


class ApiError(Exception):
    """A refusal. `reason` is the word of the JSON API, `code` the one of the XML API."""

    def __init__(self, status: int, reason: str, message: str, code: str = "", location: str = ""):
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.code = code or reason[:1].upper() + reason[1:]
        self.location = location

    def json(self) -> dict[str, Any]:
        """The body of the JSON API."""
        entry = {"message": self.message, "domain": "global", "reason": self.reason}
        if self.location:
            entry |= {"locationType": "parameter", "location": self.location}
        return {"error": {"code": self.status, "message": self.message, "errors": [entry]}}

    def xml(self) -> str:
        """The body of the XML API."""
        text = self.message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f"<?xml version='1.0' encoding='UTF-8'?><Error><Code>{self.code}</Code><Message>{text}</Message></Error>"


def not_found(what: str = "Not Found", code: str = "NoSuchKey") -> ApiError:
    """There is no such bucket, object, generation or other thing."""
    return ApiError(404, "notFound", what, code)


def no_object(bucket: str, name: str) -> ApiError:
    """There is no such object, or not that generation of it."""
    return not_found(f"No such object: {bucket}/{name}")


def no_bucket(name: str) -> ApiError:
    """There is no such bucket."""
    return not_found(f"The specified bucket does not exist: {name}", "NoSuchBucket")


def invalid(message: str, location: str = "", code: str = "InvalidArgument") -> ApiError:
    """A value that cannot be."""
    return ApiError(400, "invalid", message, code, location)


def conflict(message: str, code: str = "Conflict") -> ApiError:
    """What is there already stands in the way."""
    return ApiError(409, "conflict", message, code)


def forbidden(message: str, code: str = "AccessDenied") -> ApiError:
    """Not with these rights, or not while it is held."""
    return ApiError(403, "forbidden", message, code)


def unmet(which: str) -> ApiError:
    """A precondition of the kind "match" does not hold."""
    message = "At least one of the pre-conditions you specified did not hold."
    return ApiError(412, "conditionNotMet", message, "PreconditionFailed", which)


def not_modified(which: str) -> ApiError:
    """A precondition of the kind "not match" does not hold; the answer has no body."""
    return ApiError(304, "notModified", "Not Modified", "NotModified", which)
