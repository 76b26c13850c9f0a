"""Stands in for the part of Bloomberg's SDK that holds data: names, elements, messages, events."""

import builtins
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

# Names of classes, methods and arguments in this file are the SDK's.
# ruff: noqa: A001, N802, N803, N818


class Exception(builtins.Exception):
    """Base of the SDK's exceptions."""


class NotFoundException(Exception):
    """There is no such element."""


class IndexOutOfRangeException(Exception):
    """There is no such value."""


class UnsupportedOperationException(Exception):
    """The element is of another kind."""


class InvalidStateException(Exception):
    """The session is not started or stopped."""


class DuplicateCorrelationIdException(Exception):
    """The correlation id is in use."""


class Name(str):
    """A name of an element or a message; compares like its text."""


class DataType:
    """Kinds of elements."""

    BOOL, INT64, FLOAT64, STRING, DATE, DATETIME, SEQUENCE, CHOICE = range(1, 9)


class CorrelationId:
    """What an answer is recognised by."""

    _numbers = itertools.count(1)

    def __init__(self, value: object = None, classId: int = 0) -> None:
        self._value = next(self._numbers) if value is None else value
        self._class = classId

    def value(self) -> object:
        """What it was made from."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CorrelationId) and (self._value, self._class) == (other._value, other._class)

    def __hash__(self) -> int:
        return hash((self._value, self._class))


@dataclass(frozen=True)
class Choice:
    """Content of an element of which exactly one part is there."""

    name: str
    value: Any


class Element:
    """A value, an array, a sequence or a choice."""

    def __init__(self, name: str, content: Any) -> None:
        self._name, self._content = Name(name), content

    def name(self) -> Name:
        """Name within what it is part of."""
        return self._name

    def datatype(self) -> int:
        """One of `DataType`; of an array, that of its values."""
        content = self._content
        if isinstance(content, list):
            content = content[0] if content else ""
        kinds: list[tuple[type, int]] = [
            (dict, DataType.SEQUENCE), (Choice, DataType.CHOICE), (bool, DataType.BOOL), (int, DataType.INT64),
            (float, DataType.FLOAT64), (datetime, DataType.DATETIME), (date, DataType.DATE),
        ]  # fmt: skip
        return next((kind for known, kind in kinds if isinstance(content, known)), DataType.STRING)

    def isArray(self) -> bool:
        """Whether it holds any number of values."""
        return isinstance(self._content, list)

    def isComplexType(self) -> bool:
        """Whether it is a sequence or a choice."""
        return self.datatype() in (DataType.SEQUENCE, DataType.CHOICE)

    def isNull(self) -> bool:
        """Whether it has no value."""
        return self._content is None

    def numValues(self) -> int:
        """How many values it has."""
        return len(self._content) if self.isArray() else int(not self.isNull())

    def numElements(self) -> int:
        """How many parts it has."""
        return 1 if isinstance(self._content, Choice) else len(self._parts()) if not self.isArray() else 0

    def hasElement(self, name: str, excludeNullElements: bool = False) -> bool:
        """Whether it has a part of that name."""
        parts = self._parts()
        return name in parts and not (excludeNullElements and parts[name] is None)

    def getElement(self, name: str) -> "Element":
        """The part of that name.

        Raises:
            NotFoundException: there is none.
        """
        parts = self._parts()
        if name not in parts:
            raise NotFoundException(f"no element {name}")
        return Element(name, parts[name])

    def getElementAsString(self, name: str) -> str:
        """The value of a part as text."""
        return str(self.getElement(name).getValue())

    def elements(self) -> Iterator["Element"]:
        """Parts of a sequence.

        Raises:
            UnsupportedOperationException: it is no sequence.
        """
        if self.isArray() or self.datatype() != DataType.SEQUENCE:
            raise UnsupportedOperationException("no sequence")
        return iter([Element(name, value) for name, value in self._parts().items()])

    def getChoice(self) -> "Element":
        """The part that is there.

        Raises:
            UnsupportedOperationException: it is no choice.
        """
        if not isinstance(self._content, Choice):
            raise UnsupportedOperationException("no choice")
        return Element(self._content.name, self._content.value)

    def getValue(self, index: int = 0) -> Any:
        """One value; an `Element` where it is a sequence.

        Raises:
            IndexOutOfRangeException: there is none.
        """
        values = self._content if self.isArray() else [self._content]
        if not 0 <= index < self.numValues():
            raise IndexOutOfRangeException(f"no value {index}")
        value = values[index]
        return Element(self._name, value) if isinstance(value, dict | Choice) else value

    def values(self) -> Iterator[Any]:
        """All values, as `getValue` gives them."""
        return iter([self.getValue(index) for index in range(self.numValues())])

    def _parts(self) -> dict[str, Any]:
        if isinstance(self._content, Choice):
            return {self._content.name: self._content.value}
        return self._content if isinstance(self._content, dict) else {}


class Message:
    """One message of an event."""

    def __init__(self, kind: str, content: Any, correlation_id: CorrelationId | None) -> None:
        self._kind, self._element, self._id = Name(kind), Element(kind, content), correlation_id

    def messageType(self) -> Name:
        """Name of its type."""
        return self._kind

    def correlationId(self) -> CorrelationId | None:
        """What it answers."""
        return self._id

    def correlationIds(self) -> list[CorrelationId]:
        """What it answers, as a list."""
        return [] if self._id is None else [self._id]

    def asElement(self) -> Element:
        """Its content."""
        return self._element

    def hasElement(self, name: str, excludeNullElements: bool = False) -> bool:
        """As of the content."""
        return self._element.hasElement(name, excludeNullElements)

    def getElement(self, name: str) -> Element:
        """As of the content."""
        return self._element.getElement(name)


class Event:
    """Messages of one type."""

    (ADMIN, SESSION_STATUS, SUBSCRIPTION_STATUS, REQUEST_STATUS, RESPONSE, PARTIAL_RESPONSE) = range(1, 7)
    (SUBSCRIPTION_DATA, SERVICE_STATUS, TIMEOUT, AUTHORIZATION_STATUS, TOKEN_STATUS) = (8, 9, 10, 11, 14)

    def __init__(self, kind: int, messages: Sequence[Message] = ()) -> None:
        self._kind, self._messages = kind, tuple(messages)

    def eventType(self) -> int:
        """One of the constants above."""
        return self._kind

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages)
