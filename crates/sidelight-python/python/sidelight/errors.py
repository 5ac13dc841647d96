"""What can go wrong. Every exception says its place and the way out, as attributes and in its text."""

from __future__ import annotations


class SidelightError(Exception):
    """Base of all: `message`, `hint`, and where it is about one, `file`, `row` (from 1), `line`, `column`."""

    def __init__(
        self,
        message: str,
        hint: str | None = None,
        *,
        file: str | None = None,
        row: int | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.file = file
        self.row = row
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple:
        # Keywords are no part of `args`.
        place = {"file": self.file, "row": self.row, "line": self.line, "column": self.column}
        return (_rebuilt, (type(self), self.message, self.hint, place))


def _rebuilt(kind: type[SidelightError], message: str, hint: str | None, place: dict) -> SidelightError:
    return kind(message, hint, **place)


class ConfigError(SidelightError, ValueError):
    """A setting that is none, or a value that its setting cannot have."""


class ColumnError(SidelightError, KeyError):
    """A column that is not there, is there twice, or is not what the model learned from."""

    __str__ = SidelightError.__str__


class DataError(SidelightError, ValueError):
    """A table or a cell that cannot be read."""


class ImageError(SidelightError, ValueError):
    """An image that cannot be read."""


class RunError(SidelightError):
    """A folder that is no run, or is one already."""


class NetworkError(SidelightError, ValueError):
    """A layer that is not there, or does not fit."""


class WeightsError(SidelightError):
    """Weights that cannot be had, or belong to another network."""
