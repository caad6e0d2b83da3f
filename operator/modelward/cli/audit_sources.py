"""Where the audit commands read records from: an export, the cluster, or both, one continuing the other."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from modelward.api.resources import MODEL_AUDIT_RECORDS, MODELS
from modelward.archive.configuration import ArchiveInvalid, open_archive
from modelward.archive.exporter import Chain, ChainBroken, Document, StorageUnavailable
from modelward.archive.stored import Stored, read_checkpoints, read_export, read_storage
from modelward.cli.cluster import ALL_NAMESPACES, Cluster, connect
from modelward.cli.failure import Failure
from modelward.governance.chain import Fault, FaultKind, Head
from modelward.governance.checkpoints import CheckpointInvalid, KeyUnusable, read
from modelward.governance.examination import Examination, examine, merged

From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        help="A directory that an operator exported to; or a file like the operator's archive.yaml, that names object storage or a"
        " PostgreSQL. With --namespace or another option of the cluster, the cluster continues it.",
    ),
]
PublicKeys = Annotated[
    list[Path] | None,
    typer.Option(
        "--public-key", help="A public key (PEM) that checkpoints are signed with; more than one after a rotation."
    ),
]
Checkpoints = Annotated[
    list[Path] | None,
    typer.Option(
        "--checkpoints", help="A file of checkpoints that was kept elsewhere, such as by an auditor last year."
    ),
]
AllNamespaces = Annotated[bool, typer.Option("--all-namespaces", "-A", help="All namespaces of the cluster.")]


@dataclass(frozen=True)
class Collected:
    """All that is there of one chain, in its order, and what was wrong with it on reading."""

    chain: Chain
    documents: tuple[Document, ...]
    checkpoints: tuple[Document, ...]
    known: tuple[Head, ...]
    faults: tuple[Fault, ...]
    has_export: bool

    def examined(self, public_keys: Sequence[bytes]) -> Examination:
        """
        Raises:
            Failure: a key cannot be used.
        """
        try:
            found = examine(
                self.chain.namespace, self.chain.model, self.documents, self.checkpoints, self.known, public_keys
            )
        except KeyUnusable as error:
            raise Failure(f"--public-key cannot be used: {error}.") from error
        faults = (*self.faults, *found.faults)
        return replace(found, faults=faults, remarks=(*found.remarks, *self._hint(faults)))

    def _hint(self, faults: Sequence[Fault]) -> tuple[str, ...]:
        pruned = any(fault.kind is FaultKind.TRUNCATED and fault.seq == 1 for fault in faults)
        if self.has_export or not pruned or not self.documents:
            return ()
        return ("the beginning leaves the cluster once it is exported: if it was, give the export with --from",)


@dataclass(frozen=True)
class Sources:
    """What the command line says about where to read."""

    directory: Path | None
    checkpoints: tuple[Path, ...]
    namespace: str
    all_namespaces: bool
    context: str
    kubeconfig: Path | None

    @property
    def has_cluster(self) -> bool:
        named = bool(self.namespace or self.all_namespaces or self.context or self.kubeconfig)
        return self.directory is None or named


def collect(sources: Sources, model: str = "") -> tuple[Collected, ...]:
    """Every chain in the sources, or the one of a Model.

    Raises:
        Failure: a source cannot be read, or there is nothing in it.
    """
    stored = {each.chain: each for each in _exported(sources)}
    listed: dict[Chain, list[Document]] = {}
    known: dict[Chain, Head] = {}
    if sources.has_cluster:
        cluster = connect(sources.context, sources.kubeconfig, sources.namespace)
        namespace = ALL_NAMESPACES if sources.all_namespaces else cluster.namespace
        listed, known = _listed(cluster, namespace), _heads(cluster, namespace)
        if not sources.all_namespaces:
            stored = {chain: each for chain, each in stored.items() if chain.namespace == cluster.namespace}
    anchors = _anchors(sources.checkpoints)
    chains = sorted(
        chain
        for chain in {*stored, *listed, *known, *(anchors if sources.directory is None else ())}
        if model in ("", chain.model)
    )
    if not chains:
        whose = f"of Model {model} " if model else ""
        raise Failure(f"there are no audit records {whose}there: choose --namespace, -A or --from.")
    return tuple(
        _collected(
            chain, stored.get(chain, Stored(chain)), listed.get(chain, []), known.get(chain), anchors.get(chain, [])
        )
        for chain in chains
    )


def read_keys(paths: Sequence[Path]) -> tuple[bytes, ...]:
    """
    Raises:
        Failure: a file cannot be read.
    """
    try:
        return tuple(path.read_bytes() for path in paths)
    except OSError as error:
        raise Failure(f"--public-key cannot be read: {error}.") from error


def _collected(
    chain: Chain, stored: Stored, listed: Sequence[Document], known: Head | None, anchors: Sequence[Document]
) -> Collected:
    documents, faults = merged(stored.documents, listed)
    extra = [anchor for anchor in anchors if anchor not in stored.checkpoints]
    return Collected(
        chain,
        documents,
        (*stored.checkpoints, *extra),
        (known,) if known else (),
        (*stored.faults, *faults),
        bool(stored.documents),
    )


def _exported(sources: Sources) -> tuple[Stored, ...]:
    if sources.directory is None:
        return ()
    try:
        return _archived(sources.directory) if sources.directory.is_file() else read_export(sources.directory)
    except (OSError, ValueError, ArchiveInvalid, ChainBroken, StorageUnavailable) as error:
        raise Failure(f"--from {sources.directory} cannot be used: {str(error).rstrip('.')}.") from error


def _archived(path: Path) -> tuple[Stored, ...]:
    async def read_all() -> tuple[Stored, ...]:
        exporter = open_archive(path, lambda: datetime.now(UTC)).exporter
        try:
            return await read_storage(exporter)
        finally:
            await exporter.close()

    return asyncio.run(read_all())


def _anchors(paths: Sequence[Path]) -> dict[Chain, list[Document]]:
    anchors: dict[Chain, list[Document]] = {}
    for path in paths:
        try:
            for document in read_checkpoints(path):
                checkpoint = read(document)
                anchors.setdefault(Chain(checkpoint.namespace, checkpoint.model), []).append(document)
        except (OSError, ValueError, CheckpointInvalid) as error:
            raise Failure(f"--checkpoints {path} cannot be used: {error}.") from error
    return anchors


def _listed(cluster: Cluster, namespace: str) -> dict[Chain, list[Document]]:
    """By the name in the spec: a label can be changed."""
    chains: dict[Chain, list[Document]] = {}
    for record in cluster.list(MODEL_AUDIT_RECORDS, namespace):
        spec: dict[str, Any] = record["spec"]
        chain = Chain(record["metadata"]["namespace"], spec["model"]["name"])
        chains.setdefault(chain, []).append(spec)
    return chains


def _heads(cluster: Cluster, namespace: str) -> dict[Chain, Head]:
    """What the Models themselves know of their chains."""
    heads: dict[Chain, Head] = {}
    for model in cluster.list(MODELS, namespace):
        audit = (model.get("status") or {}).get("audit")
        if audit:
            metadata = model["metadata"]
            heads[Chain(metadata["namespace"], metadata["name"])] = Head(audit["seq"], audit["hash"])
    return heads
