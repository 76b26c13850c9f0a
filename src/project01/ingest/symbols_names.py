"""Companies and cashtags named in a text, found with one compiled expression.

Names are matched as whole words with their capitals: ``Apple`` is the company, ``apple`` and ``Pineapple`` are not.
A phrase that is known to mean something else (``Harrison Ford``, ``Visa rules``, ``Merck KGaA``) is matched as well,
being longer, and names nobody: so a name with a second meaning stays usable.
"""

import re
from collections.abc import Mapping

# A cashtag stands at a word's beginning and does not follow a currency ("US$AAPL"); one letter may name a share class.
CASHTAG = re.compile(r"(?<![\w$])\$(?P<cashtag>[A-Za-z]{1,6}(?:[._][A-Za-z])?)(?!\w)")
# Not inside words, handles and amounts of money ("$3M").
_BEFORE_NAME = r"(?<![\w@$€£¥])"
_ADDRESS = re.compile(r"https?://\S*")
# Feeds that take & for the start of an entity leave "AT&T;" and "S&P; 500" behind.
_STRAY_SEMICOLON = re.compile(r"(&[A-Z]\w{0,3});")

_Trie = dict[str, "_Trie"]


class NameFinder:
    """Finds names in texts.

    Args:
        names: from a name as written to whom it means; an empty text: to nobody.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)
        branches = [CASHTAG.pattern]
        if names:
            branches.append(rf"{_BEFORE_NAME}(?P<name>{_alternatives(_trie(names))})(?!\w)")
        self._expression = re.compile("|".join(branches))

    def names_of(self, meant: str) -> tuple[str, ...]:
        """The names that mean this one, shortest first."""
        return tuple(sorted((name for name, whom in self._names.items() if whom == meant), key=lambda n: (len(n), n)))

    def find(self, text: str) -> tuple[set[str], set[str]]:
        """Cashtags without their dollar sign, and those whom the names mean."""
        cashtags, named = set(), set()
        for match in self._expression.finditer(_repaired(text)):
            if cashtag := match["cashtag"]:
                cashtags.add(cashtag)
            elif meant := self._names[match["name"]]:
                named.add(meant)
        return cashtags, named


def _repaired(text: str) -> str:
    if "&" in text:
        text = _STRAY_SEMICOLON.sub(r"\1", text.replace("&amp;", "&"))
    if "://" in text:
        text = _ADDRESS.sub(" ", text)
    return " ".join(text.replace("’", "'").split())


def _trie(names: Mapping[str, str]) -> _Trie:
    root: _Trie = {}
    for name in names:
        node = root
        for letter in name:
            node = node.setdefault(letter, {})
        node[""] = {}
    return root


def _alternatives(node: _Trie) -> str:
    """The expression of a trie: the longest name first, each letter looked at once."""
    branches = [re.escape(letter) + _alternatives(below) for letter, below in node.items() if letter]
    if not branches:
        return ""
    together = branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"
    return f"(?:{together})?" if "" in node else together
