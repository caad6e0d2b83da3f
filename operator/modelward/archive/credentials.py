"""Secrets and certificates of a storage: files that a Secret is mounted as, read anew at every use, because they rotate."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from modelward.archive.exporter import StorageUnavailable


def text_of(path: Path) -> str:
    """The one line of a file. What is in it appears in no message.

    Raises:
        StorageUnavailable: a file that cannot be read, or that is not one line.
    """
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageUnavailable(f"the credentials in {path} cannot be read: {type(error).__name__}") from error
    if not text or not text.isprintable():
        raise StorageUnavailable(f"the credentials in {path} are not one line of text")
    return text


@dataclass(frozen=True)
class Certificates:
    """Whom to trust (None: the authorities of the system), and who this client is."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def context(self) -> ssl.SSLContext:
        """
        Raises:
            StorageUnavailable: a file that is missing, or that is no certificate or key.
        """
        try:
            context = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file else None)
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except OSError as error:  # ssl.SSLError is one
            named = ", ".join(str(file) for file in (self.ca_file, self.cert_file, self.key_file) if file)
            raise StorageUnavailable(f"the certificates in {named} cannot be used: {error}") from error
        return context
