"""How a command ends when it cannot do what it was asked: one sentence with a remedy, an exit code, never a traceback."""


class Failure(Exception):
    """What is wrong, and what to do about it. A wrong command line is typer's to refuse, with 2."""

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
