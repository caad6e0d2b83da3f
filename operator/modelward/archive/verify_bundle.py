"""Verifies an audit bundle: python3 verify.py PUBLIC_KEY.pem

Needs Python 3.9 or later and nothing else, so that it can be read and run by somebody who trusts none of the software that wrote
the bundle. Exit code 0: everything fits. 1: something does not, and the last lines say what.

What is checked:
1. Each records/NNNNNNNN.json holds the bytes that were hashed; its SHA-256 is what SHA256SUMS says.
2. The records are numbered from 1 without a gap, and each names the hash of the one before.
3. Each checkpoint is signed with the key (Ed25519, RFC 8032), and names the hash of the record of its number.
4. report.json says of the time that it is about what the records say.
"""

import base64
import hashlib
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

PURPOSE = "modelward.dev/audit-checkpoint/v1"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__)
        return 2
    folder = Path(__file__).resolve().parent
    key = public_key(Path(arguments[0]).read_bytes())
    problems, hashes, records = check_records(folder)
    signed_to, wrong = check_checkpoints(folder, key, hashes)
    problems += wrong
    problems += check_report(folder, records)
    print(f"{len(hashes)} records, signed up to record {signed_to}")
    if len(hashes) > signed_to:
        print(f"from record {signed_to + 1} on nothing is signed yet: ask for a later checkpoint")
    for problem in problems:
        print(f"FAULT: {problem}")
    print("NOT WHOLE" if problems else "whole: every record, hash, signature and statement checked fits")
    return 1 if problems else 0


def check_records(folder: Path) -> tuple[list[str], dict[int, str], list[dict[str, Any]]]:
    problems: list[str] = []
    hashes: dict[int, str] = {}
    records: list[dict[str, Any]] = []
    sums = {}
    for line in (folder / "SHA256SUMS").read_text("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        sums[name] = digest
    previous = ""
    for number, path in enumerate(sorted((folder / "records").glob("*.json")), 1):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if sums.pop(f"records/{path.name}", None) != digest:
            problems.append(f"{path.name} is not what SHA256SUMS says")
        try:
            record = json.loads(content)
            place, before = record["seq"], record["prevHash"]
        except (ValueError, KeyError, TypeError):
            problems.append(f"{path.name} is no record")
            continue
        if place != number:
            problems.append(f"{path.name} has the number {place}, but {number} comes next")
        if before != previous:
            problems.append(f"{path.name} does not name the hash of the record before")
        previous = f"sha256:{digest}"
        hashes[number] = previous
        records.append(record)
    problems += [f"{name} is missing" for name in sums]
    return problems, hashes, records


def check_checkpoints(folder: Path, key: bytes, hashes: dict[int, str]) -> tuple[int, list[str]]:
    problems: list[str] = []
    signed_to = 0
    for line in (folder / "checkpoints.jsonl").read_text("utf-8").splitlines():
        checkpoint = json.loads(line)
        seq = checkpoint["seq"]
        signed = {name: checkpoint[name] for name in ("namespace", "model", "seq", "hash", "time")}
        # RFC 8785 of text and one whole number is what json writes with sorted names and no spaces.
        message = json.dumps({**signed, "purpose": PURPOSE}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        if not is_signed(base64.b64decode(checkpoint["signature"]), message.encode("utf-8"), key):
            problems.append(f"the signature of the checkpoint at record {seq} does not fit this key")
        elif hashes.get(seq) != checkpoint["hash"]:
            problems.append(
                f"the checkpoint at record {seq} names {checkpoint['hash']}, the record has {hashes.get(seq)}"
            )
        else:
            signed_to = max(signed_to, seq)
    if not signed_to:
        problems.append("no checkpoint is signed with this key: nothing proves that the chain was not written anew")
    return signed_to, problems


def check_report(folder: Path, records: list[dict[str, Any]]) -> list[str]:
    """What served at the time, from the records again."""
    report = json.loads((folder / "report.json").read_text("utf-8"))
    at = moment(report["at"])
    void = set()
    for record in records:
        if record["action"] == "NotCarriedOut":
            void.update(record.get("details", {}).get("notCarriedOut", [record["seq"] - 1]))
    before = [record for record in records if moment(record["time"]) <= at and record["seq"] not in void]
    shares = before[-1].get("weights", []) if before else []
    found = {share["version"]: share["percent"] for share in shares if share["percent"] > 0}
    stated = {share["version"]: share["percent"] for share in report["served"] if share["percent"] > 0}
    return [] if found == stated else [f"report.json says that {stated} served, the records say {found}"]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def public_key(pem: bytes) -> bytes:
    """The 32 bytes of a key in PEM: they are the end of its ASN.1 form."""
    body = "".join(line for line in pem.decode("ascii").splitlines() if line and not line.startswith("-"))
    der = base64.b64decode(body)
    if len(der) != 44 or der[:12] != bytes.fromhex("302a300506032b6570032100"):
        sys.exit("the file is no Ed25519 public key in PEM")
    return der[12:]


# Ed25519, to verify only, after RFC 8032 section 6. Slow and plain; nothing in it is secret.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQUARE_ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]


def add(left: Point, right: Point) -> Point:
    a = (left[1] - left[0]) * (right[1] - right[0]) % P
    b = (left[1] + left[0]) * (right[1] + right[0]) % P
    c = 2 * left[3] * right[3] * D % P
    d = 2 * left[2] * right[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def multiplied(scalar: int, point: Point) -> Point:
    result = (0, 1, 1, 0)
    while scalar > 0:
        if scalar & 1:
            result = add(result, point)
        point = add(point, point)
        scalar >>= 1
    return result


def equal(left: Point, right: Point) -> bool:
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


def x_of(y: int, sign: int) -> int:
    """The x of a point; -1 where there is none."""
    if y >= P:
        return -1
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return -1 if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * SQUARE_ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P != 0:
        return -1
    return P - x if x & 1 != sign else x


def point_of(data: bytes) -> Point:
    """The point that 32 bytes stand for; one that fits nothing where they stand for none."""
    number = int.from_bytes(data, "little")
    y = number & ((1 << 255) - 1)
    x = x_of(y, number >> 255)
    return (0, 0, 0, 0) if x < 0 else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE: Point = (x_of(BASE_Y, 0), BASE_Y, 1, x_of(BASE_Y, 0) * BASE_Y % P)


def is_signed(signature: bytes, message: bytes, key: bytes) -> bool:
    if len(signature) != 64:
        return False
    owner, commitment = point_of(key), point_of(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if owner[2] == 0 or commitment[2] == 0 or scalar >= ORDER:
        return False
    challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    return equal(multiplied(scalar, BASE), add(commitment, multiplied(challenge, owner)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
