"""What a vendor module needs of the world: addresses, keys, clock, quotas; one object, made at the entry point."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING

from pydantic import SecretStr

from project01.domain import Clock, InputError
from project01.ingest.transport import Backlog, QuotaLedger, RetryPolicy
from project01.ingest.vendor import Budget, Credential, VendorSpec

if TYPE_CHECKING:
    from project01.ingest.symbols import SymbolMap


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What a vendor's client is made from.

    Attributes:
        spec: the vendor.
        secrets: by the names of the vendor's credentials.
        address: base address of the HTTP API.
        stream_address: base address of the stream.
        clock: the only source of time.
        quota: ledger of the plan's budgets.
        symbols: the one place that knows symbols.
        spill_folder: where a stream puts what the consumer is too slow for.
        budgets: limits of the plan.
        retry: how patiently.
        timeout_s: for connecting, and for each wait for more of an answer.
        idle_timeout_s: silence of a stream for longer is a disconnect; None: as long as the vendor's module thinks.
        simulated: marks every record as made up.
        trust: file of further certificate authorities.
        sleep: waits that many seconds.
        random: source of jitter.
        sdk: stand-in for the vendor's SDK.
        backlog: adds up what its streams received and nobody took yet.
    """

    spec: VendorSpec
    secrets: Mapping[str, SecretStr]
    address: str
    stream_address: str
    clock: Clock
    quota: QuotaLedger
    symbols: "SymbolMap"
    spill_folder: Path
    budgets: tuple[Budget, ...] = ()
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    timeout_s: float = 30.0
    idle_timeout_s: float | None = None
    simulated: bool = False
    trust: Path | None = None
    sleep: Callable[[float], None] = time.sleep
    random: Random = field(default_factory=Random, repr=False)
    sdk: ModuleType | None = None
    backlog: Backlog = field(default_factory=Backlog, repr=False, compare=False)

    @property
    def licence(self) -> str:
        """Licence tag for every record."""
        return "simulated" if self.simulated else self.spec.licence

    @classmethod
    def from_environment(
        cls,
        spec: VendorSpec,
        *,
        environment: Mapping[str, str],
        folder: Path,
        clock: Clock,
        symbols: "SymbolMap | None" = None,
        address: str | None = None,
        stream_address: str | None = None,
    ) -> "Connection":
        """A connection with the keys that the environment holds.

        Args:
            spec: the vendor.
            environment: variables; each credential is read from the first of its variables that is set, as ``NAME`` or
                as ``NAME_FILE``, a file that only its owner can read.
            folder: for the quota ledger and spilled frames.
            clock: source of time.
            symbols: the default map where None.
            address: instead of the vendor's own.
            stream_address: instead of the vendor's own.

        Raises:
            InputError: a required key is missing (says what to set), or its file is readable by others.
        """
        if symbols is None:
            from project01.ingest.symbols import SymbolMap

            symbols = SymbolMap.default()
        found = {credential.name: _secret(spec, credential, environment) for credential in spec.credentials}
        return cls(
            spec=spec,
            secrets={name: secret for name, secret in found.items() if secret is not None},
            address=spec.address if address is None else address,
            stream_address=spec.stream_address if stream_address is None else stream_address,
            clock=clock,
            quota=QuotaLedger(folder / "quota.sqlite", clock),
            symbols=symbols,
            spill_folder=folder / "spill",
            budgets=spec.budgets,
        )

    def micros(self) -> int:
        """The present instant, microseconds UTC: what goes into `received_at`."""
        return int(self.clock.now().timestamp() * 1_000_000)


def _secret(spec: VendorSpec, credential: Credential, environment: Mapping[str, str]) -> SecretStr | None:
    for variable in credential.variables:
        if value := environment.get(variable, "").strip():
            return SecretStr(value)
        if path := environment.get(f"{variable}_FILE", "").strip():
            return _secret_in_file(f"{variable}_FILE", Path(path))
    if not credential.required:
        return None
    names = " or ".join(credential.variables)
    raise InputError(
        f"{spec.title} needs its {credential.name}: set {names} (or {credential.variables[0]}_FILE to a file that only "
        f"you can read). The other sources work without it."
    )


def _secret_in_file(variable: str, path: Path) -> SecretStr:
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise InputError(
                f"{variable} names {path}, which others can read (mode {mode:04o}, expected 0600 or narrower). "
                f"Run: chmod 600 {path}"
            )
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{variable} names {path}, which cannot be read as text ({type(error).__name__}).") from error
    if not text:
        raise InputError(f"{variable} names {path}, which is empty; expected the secret as its only content.")
    return SecretStr(text)
