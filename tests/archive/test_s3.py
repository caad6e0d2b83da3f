"""Object lock on a real server: what somebody with the operator's own credentials, or with root's, can still do."""

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelward.archive import s3
from modelward.archive.configuration import S3
from modelward.archive.exporter import ChainBroken, Exporter, StorageUnavailable, stored_form
from modelward.archive.signature import Keys, query_string, signed_headers
from modelward.governance.chain import Head
from tests.archive.documents import CHAIN, chained, stored
from tests.archive.servers import ObjectStorage
from tests.archive.test_storages import now, s3_settings

BYPASS = {"X-Amz-Bypass-Governance-Retention": "true"}


@pytest.fixture
def bucket(object_storage: ObjectStorage) -> str:
    name = f"audit{secrets.token_hex(4)}"
    object_storage.bucket(name)
    return name


async def opened(storage: ObjectStorage, directory: Path, bucket: str, **more: object) -> Exporter:
    return S3.model_validate(await s3_settings(storage, directory, bucket, **more)).open(now)


def record_path(bucket: str, seq: int) -> str:
    return f"/{bucket}/audit/lending/credit-risk/records/{seq:08d}.json"


@pytest.mark.parametrize("who", ["operator", "root"])
async def test_nobody_deletes_a_record_whatever_rights_they_have(
    object_storage: ObjectStorage, bucket: str, tmp_path: Path, who: str
) -> None:
    exporter = await opened(object_storage, tmp_path, bucket)
    await exporter.append(CHAIN, chained(2))
    keys, path = getattr(object_storage, who), record_path(bucket, 2)
    version = object_storage.ask("HEAD", path, keys=keys).headers["x-amz-version-id"]
    refused = object_storage.ask("DELETE", path, {"versionId": version}, headers=BYPASS, keys=keys)
    assert refused.status_code == 403 and "protected by object lock" in refused.text
    sooner = {"X-Amz-Object-Lock-Mode": "COMPLIANCE"}
    body = b"<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2026-01-01T00:00:00Z</RetainUntilDate></Retention>"
    shortened = object_storage.ask(
        "PUT", path, {"retention": "", "versionId": version}, headers=sooner, body=body, keys=keys
    )
    assert shortened.status_code >= 400
    assert await stored(exporter) == chained(2)
    await exporter.close()


async def test_a_record_that_is_overlaid_or_marked_as_deleted_is_still_what_is_read(
    object_storage: ObjectStorage, bucket: str, tmp_path: Path
) -> None:
    exporter = await opened(object_storage, tmp_path, bucket)
    await exporter.append(CHAIN, chained(3))
    forged = stored_form(chained(3, story="as somebody would like it")[1])
    # With the operator's own credentials, and without the condition that the operator writes under.
    assert object_storage.ask("PUT", record_path(bucket, 2), body=forged).status_code == 200
    assert object_storage.ask("DELETE", record_path(bucket, 3)).status_code == 204
    assert object_storage.ask("GET", record_path(bucket, 2)).content == forged
    assert object_storage.ask("GET", record_path(bucket, 3)).status_code == 404
    later = await opened(object_storage, tmp_path, bucket)
    assert await stored(later) == chained(3)
    assert await later.head(CHAIN) == Head(3, chained(3)[-1]["hash"])
    await later.append(CHAIN, chained(4))
    assert await stored(later) == chained(4)
    for one in (exporter, later):
        await one.close()


async def test_a_number_that_somebody_else_wrote_first_is_a_fork(
    object_storage: ObjectStorage, bucket: str, tmp_path: Path
) -> None:
    exporter = await opened(object_storage, tmp_path, bucket)
    await exporter.append(CHAIN, chained(1))
    forged = stored_form(chained(2, story="as somebody would like it")[1])
    assert object_storage.ask("PUT", record_path(bucket, 2), body=forged).status_code == 200
    with pytest.raises(ChainBroken, match="one of the two was changed"):
        await exporter.append(CHAIN, chained(3))
    await exporter.close()


async def test_records_and_checkpoints_are_locked_for_the_days_asked_for(
    object_storage: ObjectStorage, bucket: str, tmp_path: Path
) -> None:
    exporter = await opened(object_storage, tmp_path, bucket, lock={"mode": "GOVERNANCE", "days": 40})
    before = datetime.now(UTC).replace(microsecond=0)
    await exporter.append(CHAIN, chained(1))
    await exporter.anchor(CHAIN, {"seq": 1})
    for path in (record_path(bucket, 1), record_path(bucket, 1).replace("records", "checkpoints")):
        headers = object_storage.ask("HEAD", path).headers
        until = datetime.fromisoformat(headers["x-amz-object-lock-retain-until-date"])
        assert headers["x-amz-object-lock-mode"] == "GOVERNANCE"
        assert before + timedelta(days=40) <= until <= datetime.now(UTC) + timedelta(days=40)
    await exporter.close()


async def test_a_bucket_without_object_lock_confirms_nothing(object_storage: ObjectStorage, tmp_path: Path) -> None:
    name = f"plain{secrets.token_hex(4)}"
    object_storage.bucket(name, locked=False)
    exporter = await opened(object_storage, tmp_path, name)
    with pytest.raises(StorageUnavailable, match=r"(?i)lock"):
        await exporter.append(CHAIN, chained(1))
    await exporter.close()


async def test_the_rights_that_the_documentation_names_are_enough(
    object_storage: ObjectStorage, tmp_path: Path
) -> None:
    guide = Path(__file__).parents[2] / "docs" / "how-to" / "keep-the-audit-trail.md"
    name, actions = f"audit{secrets.token_hex(4)}", sorted(set(re.findall(r'"(s3:\w+)"', guide.read_text())))
    assert len(actions) == 6
    object_storage.bucket(name, actions=actions)
    exporter = await opened(object_storage, tmp_path, name)
    await exporter.append(CHAIN, chained(2))
    await exporter.append(CHAIN, chained(3))
    await exporter.anchor(CHAIN, {"seq": 3})
    assert await stored(exporter) == chained(3)
    assert await exporter.chains() == [CHAIN]
    version = object_storage.ask("HEAD", record_path(name, 1)).headers["x-amz-version-id"]
    assert object_storage.ask("DELETE", record_path(name, 1)).status_code == 403
    assert object_storage.ask("DELETE", record_path(name, 1), {"versionId": version}).status_code == 403
    await exporter.close()


async def test_a_chain_longer_than_a_page_of_the_list_is_read_to_its_end(
    object_storage: ObjectStorage, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "LISTED_AT_ONCE", 3)
    exporter = await opened(object_storage, tmp_path, bucket)
    await exporter.append(CHAIN, chained(11))
    for _ in range(4):  # so that the versions of one object are on two pages
        object_storage.ask("PUT", record_path(bucket, 9), body=b"{}")
    later = await opened(object_storage, tmp_path, bucket)
    assert await later.head(CHAIN) == Head(11, chained(11)[-1]["hash"])
    assert await stored(later) == chained(11)
    for one in (exporter, later):
        await one.close()


def test_a_signature_is_that_of_the_published_example() -> None:
    """GET Object of "Signature Calculations for the Authorization Header" in the reference of Amazon S3."""
    keys = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    moment = datetime(2013, 5, 24, tzinfo=UTC)
    url = "https://examplebucket.s3.amazonaws.com/test.txt"
    headers = signed_headers("GET", url, {"Range": "bytes=0-9"}, b"", keys, "us-east-1", moment)
    assert headers["X-Amz-Content-Sha256"] == hashlib.sha256(b"").hexdigest()
    assert headers["Authorization"].endswith(
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
    )
    listing = f"https://examplebucket.s3.amazonaws.com/?{query_string({'prefix': 'J', 'max-keys': '2'})}"
    assert signed_headers("GET", listing, {}, b"", keys, "us-east-1", moment)["Authorization"].endswith(
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )
