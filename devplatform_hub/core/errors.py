"""The one error tree of the distribution, and what a person may see of it."""


class DevPlatformError(Exception):
    """Base of every error that this distribution raises on purpose."""


class PublicError(DevPlatformError):
    """An error whose text may be shown to the person who caused it.

    `message` says what happened, `hint` what to do about it, `code` is a stable kebab-case name
    that documentation and tests can rely on, `status` the HTTP status that fits.
    Everything else that goes wrong is an internal error: the person sees a reference, the log the trace.
    """

    def __init__(self, message: str, *, code: str, hint: str = "", status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.status = status

    def as_dict(self) -> dict[str, str]:
        """The JSON form: `{"code", "message", "hint"}`."""
        return {"code": self.code, "message": self.message, "hint": self.hint}
