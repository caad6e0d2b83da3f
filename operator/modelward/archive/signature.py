"""Signature Version 4, by which a client of S3 proves who it is.

Own code: botocore, and with it boto3 and aiobotocore, asks for a python-dateutil below 3 and the Kubernetes client for 3 or later,
so that no environment can hold both; MinIO's client cannot make a write conditional, blocks, and brings two libraries of
cryptography for a hash. The scheme is published, with examples that the tests check.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Keys:
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


def query_string(parameters: Mapping[str, str]) -> str:
    """As it is signed, and therefore as it is sent."""
    pairs = sorted((_escaped(name), _escaped(value)) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def escaped_path(path: str) -> str:
    return quote(path, safe="/-_.~")


def signed_headers(
    method: str, url: str, headers: Mapping[str, str], body: bytes, keys: Keys, region: str, now: datetime
) -> dict[str, str]:
    """The headers given, and those that prove who sends them. `url` is sent exactly as it is written here."""
    parts = urlsplit(url)
    moment = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    payload = hashlib.sha256(body).hexdigest()
    sent = {
        **headers,
        "Host": parts.netloc,
        "X-Amz-Content-Sha256": payload,
        "X-Amz-Date": moment,
        **({"X-Amz-Security-Token": keys.session_token} if keys.session_token else {}),
    }
    canonical_headers = sorted((name.lower(), " ".join(value.split())) for name, value in sent.items())
    names = ";".join(name for name, _ in canonical_headers)
    lines = "".join(f"{name}:{value}\n" for name, value in canonical_headers)
    request = "\n".join((method, parts.path or "/", parts.query, lines, names, payload))
    scope = f"{moment[:8]}/{region}/s3/aws4_request"
    to_sign = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{keys.secret_access_key}".encode()
    for part in scope.split("/"):
        key = _keyed(key, part)
    signature = _keyed(key, to_sign).hex()
    sent["Authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return sent


def _escaped(text: str) -> str:
    return quote(text, safe="-_.~")


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
