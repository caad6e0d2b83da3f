"""Chains of records for storages, which look at nothing but seq, prevHash and hash."""

import hashlib

import rfc8785

from modelward.archive.exporter import Chain, Document, Exporter

CHAIN = Chain("lending", "credit-risk")


def chained(count: int, *, story: str = "as it was", after: tuple[int, str] = (0, "")) -> list[Document]:
    """`count` records that follow one another; another story makes other records of the same numbers."""
    records: list[Document] = []
    seq, link = after
    for _ in range(count):
        seq += 1
        record = {"seq": seq, "prevHash": link, "message": f"{story}, step {seq}, é ✓", "weight": 0.1}
        link = "sha256:" + hashlib.sha256(rfc8785.dumps(record)).hexdigest()
        records.append({**record, "hash": link})
    return records


async def stored(exporter: Exporter, chain: Chain = CHAIN) -> list[Document]:
    return [document async for document in exporter.read(chain)]
