"""The error tree. Each message says what was found, what was expected and what to do.

Project01Error            exit code 1: the work failed
+- InputError             exit code 2: what the user gave cannot be used
|  +- SchemaError         columns, types or time zones do not fit
|  +- SettingsError       a settings value is unknown or out of range
|  +- MissingExtraError   an optional part of Project01 is not installed
+- DataError              the data cannot carry the question asked
|  +- NotEnoughDataError  too few rows, sessions or assets
|  +- StaleTableError     a table ends before the time asked for
+- LakeError              a table cannot be read or written
|  +- TransactionError    the same transaction with other content, or out of order
+- StoreError             an online feature store cannot be read or written
+- BusError               a topic cannot be read or written
|  +- MessageError        a message is no record we know
+- SourceError            a vendor cannot be read
|  +- AuthenticationError the vendor refused the key: trying again is no use
|  +- QuotaError          the plan's calls are used up
|  +- VendorError         the vendor answered with an error, or with what cannot be read
|  +- UnreachableError    the vendor does not answer
+- LookAheadError         a value used data from after its `as_of`
|  +- HoldoutError        the sealed part of the data was asked for
"""


class Project01Error(Exception):
    """Base of every error raised on purpose; `exit_code` is what the CLI ends with."""

    exit_code = 1


class InputError(Project01Error):
    """What the user gave cannot be used."""

    exit_code = 2


class SchemaError(InputError):
    """Columns, types or time zones do not fit the record asked for."""


class SettingsError(InputError):
    """A settings value is unknown, of the wrong type or out of range."""


class MissingExtraError(InputError):
    """An optional part of Project01 is needed and not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs the extra '{extra}', which is not installed. "
            f"Install it with: pip install -c requirements.txt -e '.[{extra}]'"
        )
        self.extra = extra


class DataError(Project01Error):
    """The data cannot carry the question asked of it."""


class NotEnoughDataError(DataError):
    """Too few rows, sessions or assets for the figure asked for."""


class StaleTableError(DataError):
    """A table ends before the time asked for."""


class LakeError(Project01Error):
    """A lake table cannot be read or written."""


class TransactionError(LakeError):
    """A transaction was repeated with other content, or went backwards."""


class StoreError(Project01Error):
    """An online feature store cannot be read or written."""


class BusError(Project01Error):
    """A topic cannot be read or written."""


class MessageError(BusError):
    """A message is not a record we know."""


class SourceError(Project01Error):
    """A vendor cannot be read."""


class AuthenticationError(SourceError):
    """The vendor refused the key, or the plan does not include what was asked; trying again is no use."""


class QuotaError(SourceError):
    """The calls of the vendor's plan are used up for now; the message says until when."""


class VendorError(SourceError):
    """The vendor answered with an error, or with an answer that cannot be read."""


class UnreachableError(SourceError):
    """The vendor did not answer, also after all retries."""


class LookAheadError(Project01Error):
    """A value at a time used data that was known only after it."""


class HoldoutError(LookAheadError):
    """The sealed part of the data was asked for."""
