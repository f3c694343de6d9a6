"""Errors that a user can act on."""


class LowbitError(Exception):
    """Something the user can correct. `hint` says how; the command line prints it, too."""

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.hint = hint
