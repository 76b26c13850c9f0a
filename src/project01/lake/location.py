"""Where a lake lives: a folder or an S3 prefix. Table addresses, the list of tables, and what must stay secret."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import FileSelector, FileType

from project01.domain import InputError

_TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SECRET_OPTION = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"AWS_.*(KEY|SECRET|TOKEN|PASSWORD)")
_UNSAFE_RENAME = "aws_s3_allow_unsafe_rename"
_HIDDEN = "***"


class Location:
    """The root of a lake.

    Args:
        url: a path, ``file:///...`` or ``s3://bucket/prefix``.
        storage_options: S3 settings under the names delta-rs knows (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``,
            ``AWS_ENDPOINT_URL``, ...); what is absent comes from the environment.
    Raises:
        InputError: another scheme, credentials inside the URL, or unsafe renames asked for.
    """

    def __init__(self, url: str | Path, storage_options: Mapping[str, str] | None = None) -> None:
        options = dict(storage_options or {})
        self.folder: Path | None = None
        self.root = _local_root(str(url)) if _is_local(str(url)) else _s3_root(str(url), options)
        if _is_local(str(url)):
            self.folder = Path(self.root)
        else:
            # Two writers must never win the same version: S3 has to refuse the second put of one commit file.
            options = {"aws_conditional_put": "etag", **options}
        self.options = options

    def __repr__(self) -> str:
        return f"Location({self.root!r})"

    def address(self, table: str) -> str:
        """Path or URL of one table.

        Raises:
            InputError: the name could leave the lake's folder or is not lower-case letters, digits and ``_``.
        """
        if not _TABLE_NAME.fullmatch(table):
            raise InputError(
                f"{table!r} cannot name a lake table. Use lower-case letters, digits and _, starting with a letter."
            )
        return f"{self.root}/{table}"

    def folder_of(self, table: str) -> Path | None:
        """The table's folder on local disk, None on S3."""
        return None if self.folder is None else self.folder / table

    def candidates(self) -> list[str]:
        """Names under the root that could be tables, sorted; those on local disk do have a log."""
        if self.folder is not None:
            if not self.folder.exists():
                return []
            found = [entry.name for entry in self.folder.iterdir() if (entry / "_delta_log").is_dir()]
        else:
            listing = DeltaStorageHandler(self.root, self.options).get_file_info_selector(FileSelector(""))
            found = [entry.base_name for entry in listing if entry.type == FileType.Directory]
        return sorted(name for name in found if _TABLE_NAME.fullmatch(name))

    def without_secrets(self, text: str) -> str:
        """`text` with every known credential blotted out, also where it stands URL-encoded."""
        for secret in self._secrets():
            for form in (secret, quote(secret, safe="")):
                text = text.replace(form, _HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        given = [value for name, value in self.options.items() if _SECRET_OPTION.search(name)]
        ambient = [value for name, value in os.environ.items() if _SECRET_VARIABLE.fullmatch(name)]
        return sorted({value for value in given + ambient if len(value) > 3}, key=len, reverse=True)


def _is_local(url: str) -> bool:
    return "://" not in url or url.startswith("file://")


def _local_root(url: str) -> str:
    path = Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url).expanduser()
    return str(path.resolve())


def _s3_root(url: str, options: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query:
        raise InputError(
            "The lake's URL carries credentials or a query. Give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "in the environment and pass s3://bucket/prefix."
        )
    if parts.scheme not in {"s3", "s3a"} or not parts.netloc:
        raise InputError(f"A lake lives in a folder or under s3://bucket/prefix; found {url!r}.")
    asked = {name.lower(): value for name, value in [*os.environ.items(), *options.items()]}
    if asked.get(_UNSAFE_RENAME, "").lower() in {"1", "true", "yes", "on"}:
        raise InputError(
            f"{_UNSAFE_RENAME.upper()} is set; with it two writers can overwrite each other's commits. Unset it: "
            "Project01 commits by conditional put, which S3 and its work-alikes support."
        )
    return url.rstrip("/")
