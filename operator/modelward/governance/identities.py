"""Who a name belongs to: a person has one name in the cluster, another in commits, and counts once."""

from collections.abc import Iterable

from modelward.api.lifecycle_policy import IdentityMap
from modelward.api.model_version import ModelVersionSpec


def person_of(name: str, identities: IdentityMap) -> str | None:
    """The person behind a user name or an identity of commits and runs; None when the map does not say."""
    for person in identities.people:
        if name == person.name or name in person.usernames or name in person.identities:
            return person.name
    return name if identities.match_by_name and name else None


def teams_of(person: str, identities: IdentityMap) -> tuple[str, ...] | None:
    """The teams that a person belongs to; None when the map does not say."""
    return next((entry.teams for entry in identities.people if entry.name == person), None)


def builders_of(spec: ModelVersionSpec) -> tuple[str, ...]:
    """Everybody who had a hand in a version: those it names, the user of the training run, the authors of the commit."""
    lineage = spec.lineage
    names: list[str] = list(spec.built_by)
    if lineage is not None and lineage.run is not None and lineage.run.user:
        names.append(lineage.run.user)
    if lineage is not None and lineage.code is not None:
        names.extend(lineage.code.authors)
    return tuple(dict.fromkeys(names))


def unknown(names: Iterable[str], identities: IdentityMap) -> tuple[str, ...]:
    """Those names that nobody is known behind."""
    return tuple(name for name in names if person_of(name, identities) is None)
