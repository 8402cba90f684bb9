"""Errors of requests: each protocol writes them in its own shape, with status, code and the field at fault."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that cannot be answered as it is."""

    status = 400  # of HTTP
    code: str | None = "invalid_request"
    retry_after: int | None = None  # seconds

    def __init__(self, message: str, param: str | None = None, code: str | None = None) -> None:
        """Error with a message.

        Args:
            message: what was found and what was expected.
            param: field of the request that is at fault.
            code: a word for programs, if not that of the class.
        """
        super().__init__(message)
        self.param = param
        self.code = code or self.code


class UnknownVoiceError(RequestError):
    """There is no such voice, or no such speaker of it."""

    code = "voice_not_found"

    def __init__(self, message: str, param: str = "voice") -> None:
        super().__init__(message, param)


class TooLongError(RequestError):
    """A text of more characters, or of more sound, than the server takes."""

    code = "too_long"


class KeyRefusedError(RequestError):
    """No key, or another one than the server's."""

    status, code = 401, "invalid_api_key"


class RateError(RequestError):
    """More requests of one client in a minute than the server takes."""

    status, code, retry_after = 429, "rate_limit_exceeded", 10


class BusyError(RequestError):
    """As many requests are open as the server takes, or it is about to stop."""

    status, code, retry_after = 503, "server_busy", 1
