"""Who a name belongs to: a person has one name in the cluster, another in commits, and counts once."""

from collections.abc import Iterable

from modelward.api.demands import IdentityMap, Person
from modelward.api.model_version import ModelVersionSpec


def person_of(name: str, identities: IdentityMap) -> str | None:
    """The person behind a user name or an identity of commits and runs; None when the map does not say."""
    for person in identities.people:
        if name == person.name or name in person.usernames or name in person.identities:
            return person.name
    return name if identities.match_by_name and name else None


def builder_of(name: str, identities: IdentityMap) -> str | None:
    """The person behind the name of a builder; None when the map does not say.

    Whoever writes a version chooses how its builders are spelled, so that spelling makes nobody another person. Approvers are
    known by exactly the name that the API server has for them.
    """
    known = person_of(name, identities.model_copy(update={"match_by_name": False}))
    alike = next((person.name for person in identities.people if _plain(name) in _names(person)), None)
    return known or alike or person_of(name, identities)


def is_the_builder(approver: str, builder: str, identities: IdentityMap) -> bool:
    """Are the two one person, as far as the map says?"""
    person, built_by = person_of(approver, identities), builder_of(builder, identities)
    return person is not None and built_by is not None and _plain(person) == _plain(built_by)


def teams_of(person: str, identities: IdentityMap) -> tuple[str, ...] | None:
    """The teams that a person belongs to; None when the map does not say."""
    return next((entry.teams for entry in identities.people if entry.name == person), None)


def team_in_common(person: str, owner: str | None, builders: Iterable[str], identities: IdentityMap) -> str | None:
    """A team of the person's that owns the Model, or that somebody is of who built the version.

    What a Model calls its owner is written by the team itself; who is of which team is not.
    """
    theirs = {_plain(owner)} if owner else set()
    for builder in builders:
        built_by = builder_of(builder, identities)
        theirs |= {_plain(team) for team in (teams_of(built_by, identities) if built_by else None) or ()}
    return next((team for team in teams_of(person, identities) or () if _plain(team) in theirs), None)


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
    """Those names of builders that nobody is known behind."""
    return tuple(name for name in names if builder_of(name, identities) is None)


def _names(person: Person) -> set[str]:
    return {_plain(name) for name in (person.name, *person.usernames, *person.identities)}


def _plain(name: str) -> str:
    """A name without what does not tell people apart: ``Ada <Ada@example.com>`` is ``ada@example.com``."""
    bare = name.strip()
    if bare.endswith(">") and "<" in bare:
        bare = bare[bare.rindex("<") + 1 : -1].strip()
    return bare.casefold()
