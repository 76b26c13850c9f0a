"""Models on disk: native text formats and a manifest of hashes; nothing else is opened."""

import hashlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from project01.domain import InputError
from project01.models.forecaster import CALIBRATION_FILE, POINT_MODELS, ConformalForecaster, id_of

FORMAT_VERSION = 2
MANIFEST = "manifest.json"
ALLOWED_FILES = {"model.txt", "model.json", CALIBRATION_FILE}
LARGEST_BYTES = 200_000_000
_HASH = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a saved model rests on.

    Attributes:
        data_digest: hash of the feature table's content.
        lake_version: version of the feature table.
        feature_hash: hash of the features' meaning.
        settings_hash: hash of the settings.
        trained_until: newest label time among the training rows.
        libraries: versions that fitted it.
    """

    data_digest: str
    lake_version: int
    feature_hash: str
    settings_hash: str
    trained_until: str
    libraries: dict[str, str]


def save_forecaster(forecaster: ConformalForecaster, folder: Path, provenance: Provenance) -> Path:
    """Write a model as `folder`/NAME, all of it or nothing; an earlier one of that name gives way.

    Only the owner may read or change the files: what they say is later believed.

    Returns:
        The model's folder.
    Raises:
        InputError: `folder`/NAME is there and is no saved model.
    """
    files = forecaster.to_files()
    manifest = asdict(provenance) | {
        "format_version": FORMAT_VERSION,
        "model": forecaster.name,
        "model_id": forecaster.model_id(),
        "model_settings_hash": forecaster.settings_hash(),
        "seed": forecaster.seed,
        "horizon": forecaster.horizon,
        "features": list(forecaster.feature_names),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())},
    }
    target = folder / forecaster.name
    if target.is_symlink() or (target.exists() and not (target / MANIFEST).is_file()):
        raise InputError(f"{target} is there and is no saved model; it is left alone. Move it or save elsewhere.")
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder, prefix=".draft-"))
    try:
        for name, content in files.items():
            _write(draft / name, content)
        _write(draft / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest, order="sorted")))
        if target.exists():
            shutil.rmtree(target)
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)


def _refuse(folder: Path, why: str) -> InputError:
    return InputError(f"{folder} is not a model that can be trusted: {why}. Train again with `project01 train`.")


def _read_plain(folder: Path, name: str) -> bytes:
    """A file that lies right in the folder, is no link, pipe or device, and not too large."""
    try:
        # One descriptor for the check and the read, so that the file cannot be exchanged in between.
        descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise _refuse(folder, f"{name} is missing or is no plain file ({error.strerror})") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _refuse(folder, f"{name} is no plain file")
        if found.st_size > LARGEST_BYTES:
            raise _refuse(folder, f"{name} is larger than {LARGEST_BYTES:,} bytes")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(LARGEST_BYTES)
    finally:
        os.close(descriptor)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a saved model, checked for form.

    Raises:
        InputError: it is missing, damaged, of another format version or names files it may not.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise _refuse(folder, "it is no folder")
    try:
        manifest = msgspec.json.decode(_read_plain(folder, MANIFEST))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refuse(folder, f"{MANIFEST} is not JSON") from error
    if not isinstance(manifest, dict) or manifest.get("format_version") != FORMAT_VERSION:
        raise _refuse(folder, f"{MANIFEST} is not of format version {FORMAT_VERSION}")
    hashes = manifest.get("sha256")
    if not isinstance(hashes, dict) or not hashes or not set(hashes) <= ALLOWED_FILES:
        raise _refuse(folder, f"{MANIFEST} names files other than {', '.join(sorted(ALLOWED_FILES))}")
    if not all(isinstance(value, str) and _HASH.match(value) for value in hashes.values()):
        raise _refuse(folder, f"{MANIFEST} holds something that is no SHA-256")
    if manifest.get("model") not in POINT_MODELS:
        raise _refuse(folder, f"{MANIFEST} names none of the models {', '.join(POINT_MODELS)}")
    known = set(Provenance.__dataclass_fields__) | {
        "format_version", "model", "model_id", "model_settings_hash", "seed", "horizon", "features", "sha256",
    }  # fmt: skip
    if set(manifest) != known:
        raise _refuse(folder, f"{MANIFEST} lacks or adds {', '.join(sorted(set(manifest) ^ known))}")
    return manifest


def load_forecaster(folder: Path, expected_id: str | None = None) -> ConformalForecaster:
    """The forecaster saved in `folder`, byte for byte what was saved. No code in any file is ever run.

    Args:
        folder: of the model.
        expected_id: its `model_id`, from where the caller keeps what it trained; with it, a folder that was exchanged
            as a whole, manifest and all, is refused too.
    Raises:
        InputError: a file was changed, added, is missing, is a link, is of another form, or was never vouched for.
    """
    manifest = read_manifest(folder)
    expected = {MANIFEST, *manifest["sha256"]}
    present = {entry.name for entry in os.scandir(folder)}
    if present != expected:
        raise _refuse(folder, f"it lacks or adds {', '.join(sorted(present ^ expected))}")
    files = {}
    for name, digest in manifest["sha256"].items():
        content = _read_plain(folder, name)
        if hashlib.sha256(content).hexdigest() != digest:
            raise _refuse(folder, f"{name} is not the file that was saved")
        files[name] = content
    model_id = id_of(manifest["model"], files)
    if manifest["model_id"] != model_id or expected_id not in {None, model_id}:
        raise _refuse(folder, f"its files make {model_id}, expected {expected_id or manifest['model_id']}")
    try:
        forecaster = ConformalForecaster.from_files(manifest["model"], files)
    except InputError as error:
        raise _refuse(folder, str(error).rstrip(".")) from error
    told = [list(forecaster.feature_names), forecaster.horizon, forecaster.seed, forecaster.settings_hash()]
    if told != [manifest[key] for key in ("features", "horizon", "seed", "model_settings_hash")]:
        raise _refuse(folder, f"{MANIFEST} and its files tell of different models")
    return forecaster
