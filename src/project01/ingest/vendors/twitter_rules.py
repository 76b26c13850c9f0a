"""Rules of X's filtered stream: what is wanted against what stands there."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from project01.domain import VendorError
from project01.ingest.transport import HttpClient

_LOG = logging.getLogger(__name__)
_PATH: Final = "2/tweets/search/stream/rules"
TAG: Final = "project01"


class Rule(msgspec.Struct, frozen=True):
    """A rule as X keeps it."""

    id: str
    value: str
    tag: str = ""


class _Problem(msgspec.Struct, frozen=True):
    title: str = ""
    detail: str = ""
    value: str = ""


class _Rules(msgspec.Struct, frozen=True):
    data: tuple[Rule, ...] = ()
    errors: tuple[_Problem, ...] = ()


@dataclass(frozen=True)
class RuleChange:
    """What brings the rules of the stream to those wanted.

    Attributes:
        add: values that are missing.
        delete: rules of ours, by id and value, that are no longer wanted or stand there twice.
        keep: values that stand already.
        foreign: values with another tag than ours; they are left alone, though their posts come too.
    """

    add: tuple[str, ...]
    delete: tuple[tuple[str, str], ...]
    keep: tuple[str, ...]
    foreign: tuple[str, ...]

    def __str__(self) -> str:
        """One line for each rule, as a difference."""
        lines = [f"- {value}" for _, value in self.delete] + [f"+ {value}" for value in self.add]
        return "\n".join([*lines, *(f"  {value}" for value in self.keep), *(f"! {value}" for value in self.foreign)])


def difference(wanted: Sequence[str], standing: Sequence[Rule]) -> RuleChange:
    """What is to be done; nothing if the rules stand as wanted."""
    keep: dict[str, str] = {}
    delete: list[tuple[str, str]] = []
    for rule in standing:
        if rule.tag != TAG:
            continue
        if rule.value in wanted and rule.value not in keep:
            keep[rule.value] = rule.id
        else:
            delete.append((rule.id, rule.value))
    return RuleChange(
        add=tuple(value for value in dict.fromkeys(wanted) if value not in keep),
        delete=tuple(delete),
        keep=tuple(keep),
        foreign=tuple(rule.value for rule in standing if rule.tag != TAG),
    )


def standing_rules(client: HttpClient) -> tuple[Rule, ...]:
    """The rules that X has for this key.

    Raises:
        SourceError: as `HttpClient.get`; also if the answer is no list of rules.
    """
    return _read(client.get(_PATH).body).data


def apply(client: HttpClient, wanted: Sequence[str]) -> RuleChange:
    """Bring the rules to those wanted; done twice, the second time changes nothing.

    Rules that go are deleted first: a plan has room for few.

    Raises:
        VendorError: X refuses a rule; says which and why.
        SourceError: as `HttpClient.get`.
    """
    change = difference(wanted, standing_rules(client))
    if change.delete:
        body = msgspec.json.encode({"delete": {"ids": [identifier for identifier, _ in change.delete]}})
        _check(_read(client.post(_PATH, body).body))
    if change.add:
        body = msgspec.json.encode({"add": [{"value": value, "tag": TAG} for value in change.add]})
        _check(_read(client.post(_PATH, body).body))
    if change.add or change.delete:
        _LOG.info("rules of X's stream changed:\n%s", change)
    return change


def _read(body: bytes) -> _Rules:
    try:
        return msgspec.json.decode(body, type=_Rules)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise VendorError(f"X's answer about rules cannot be read: {error}. Try again later.") from error


def _check(rules: _Rules) -> None:
    # A request that is repeated after a lost answer finds its rule there, or gone, already.
    refused = [each for each in rules.errors if each.title not in {"DuplicateRule", "Not Found Error"}]
    if refused:
        told = "; ".join(f"{each.value or each.title}: {each.detail or each.title}" for each in refused)
        raise VendorError(f"X refused rules: {told[:400]}. Change the symbols, the query or the filter.")
