"""One file that holds an answer and its proof, for somebody who has no access to the cluster and trusts none of its software."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from modelward.archive.exporter import Document, stored_form
from modelward.governance.account import Report, report_text
from modelward.governance.chain import canonical, is_readable

SUFFIXES = (".tar.gz", ".tgz", ".zip")

_HERE = Path(__file__).parent


def bundle_files(report: Report, documents: Sequence[Document], checkpoints: Sequence[Document]) -> dict[str, bytes]:
    """The files of a bundle by their names. Each record is a file of the bytes that were hashed, so that `sha256sum` checks it."""
    records = {
        f"records/{document['seq']:08d}.json": (canonical(document), str(document["hash"]).removeprefix("sha256:"))
        for document in documents
        if is_readable(document) and _is_hashable(document)
    }
    return {
        "report.md": report_text(report).encode("utf-8"),
        "report.json": (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode("utf-8"),
        "VERIFY.md": (_HERE / "VERIFY.md").read_bytes(),
        "verify.py": (_HERE / "verify_bundle.py").read_bytes(),
        # The hash that the record claims: where it does not fit its content, whoever verifies has to see it.
        "SHA256SUMS": "".join(f"{digest}  {name}\n" for name, (_, digest) in records.items()).encode(
            "ascii", "replace"
        ),
        "checkpoints.jsonl": b"".join(stored_form(checkpoint) + b"\n" for checkpoint in checkpoints),
        **{name: content for name, (content, _) in records.items()},
    }


def write_bundle(path: Path, folder: str, files: Mapping[str, bytes], time: datetime) -> None:
    """Write the files into one folder of an archive, .zip or .tar.gz by its name; the same input gives the same bytes.

    Raises:
        OSError: the file cannot be written.
        ValueError: the name ends in none of SUFFIXES.
    """
    if path.name.endswith(".zip"):
        path.write_bytes(_zip(folder, files, time))
    elif path.name.endswith(SUFFIXES):
        path.write_bytes(_tar(folder, files, time))
    else:
        raise ValueError(f"{path} is no .tar.gz and no .zip: end the name in one of them")


def _tar(folder: str, files: Mapping[str, bytes], time: datetime) -> bytes:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in files.items():
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(content), int(time.timestamp()), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _zip(folder: str, files: Mapping[str, bytes], time: datetime) -> bytes:
    moment = time.astimezone(UTC)
    stamp = (max(moment.year, 1980), moment.month, moment.day, moment.hour, moment.minute, moment.second)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{folder}/{name}", stamp)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _is_hashable(document: Document) -> bool:
    try:
        canonical(document)
    except ValueError:
        return False
    return True
