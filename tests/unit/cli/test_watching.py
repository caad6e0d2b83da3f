"""Following objects: what is seen, what is told while the connection is gone, and when it is given up."""

from itertools import islice

import pytest

from modelward.api.resources import MODELS
from modelward.cli.cluster import ClusterError
from modelward.cli.watching import LONGEST, SHORTEST, changes


def model(name, version):
    return {"metadata": {"namespace": "lending", "name": name, "resourceVersion": str(version)}}


def event(kind, name, version):
    return {"type": kind, "object": model(name, version)}


class Script:
    """A cluster whose answers are given: a list for each look, and events, or errors, for each watch."""

    def __init__(self, *answers):
        self.answers, self.watched_from = list(answers), []

    def list_with_version(self, resource, name="", namespace=None):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer, "100"

    def watch(self, resource, since, name="", namespace=None):
        self.watched_from.append(since)
        for each in self.answers.pop(0):
            if isinstance(each, Exception):
                raise each
            yield each


def seen(script, count, pauses=None):
    found = changes(script, MODELS, pause=(pauses if pauses is not None else []).append)
    return [
        (sorted((name, obj["metadata"]["resourceVersion"]) for (_, name), obj in each.objects.items()), each.problem)
        for each in islice(found, count)
    ]


NO_ANSWER = ClusterError("https://here gives no answer.")
GONE = ClusterError("too old resource version", 410)


def test_it_begins_with_what_is_there_and_goes_on_with_every_change():
    script = Script(
        [model("a", 1)], [event("MODIFIED", "a", 101), event("ADDED", "b", 102), event("DELETED", "a", 103)]
    )
    assert seen(script, 4) == [
        ([("a", "1")], ""),
        ([("a", "101")], ""),
        ([("a", "101"), ("b", "102")], ""),
        ([("b", "102")], ""),
    ]


def test_a_watch_that_the_server_ends_goes_on_where_it_was():
    script = Script(
        [model("a", 1)], [event("MODIFIED", "a", 101), event("BOOKMARK", "", 150)], [event("MODIFIED", "a", 151)]
    )
    assert seen(script, 3)[-1] == ([("a", "151")], "")
    assert script.watched_from == ["100", "150"]


def test_a_watch_that_ends_without_a_word_is_not_begun_anew_at_once():
    script = Script([model("a", 1)], [], [], [event("MODIFIED", "a", 101)])
    pauses = []
    assert seen(script, 2, pauses)[-1] == ([("a", "101")], "")
    assert pauses == [SHORTEST, SHORTEST]
    assert script.watched_from == ["100", "100", "100"]


def test_a_bookmark_is_no_change():
    script = Script(
        [model("a", 1)], [event("BOOKMARK", "", 150), event("DELETED", "unknown", 151), event("MODIFIED", "a", 152)]
    )
    assert len(seen(script, 2)) == 2


def test_a_connection_that_breaks_keeps_the_picture_says_why_and_looks_at_all_of_it_again():
    script = Script([model("a", 1)], [NO_ANSWER], [model("a", 7)])
    pauses = []
    assert seen(script, 3, pauses) == [
        ([("a", "1")], ""),
        ([("a", "1")], "https://here gives no answer."),
        ([("a", "7")], ""),
    ]
    assert pauses == [SHORTEST]


def test_the_longer_it_is_gone_the_less_often_it_is_asked():
    script = Script([model("a", 1)], [NO_ANSWER], *[NO_ANSWER] * 7, [model("a", 2)])
    pauses = []
    seen(script, 10, pauses)
    assert pauses == [1, 2, 4, 8, 16, LONGEST, LONGEST, LONGEST]


def test_events_that_the_server_has_forgotten_are_no_problem():
    script = Script([model("a", 1)], [GONE], [model("a", 9)])
    assert seen(script, 2) == [([("a", "1")], ""), ([("a", "9")], "")]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_overloaded_is_asked_again(status):
    script = Script([model("a", 1)], [ClusterError("overloaded", status)], [model("a", 2)])
    assert seen(script, 3)[1][1] == "overloaded"


@pytest.mark.parametrize("status", [401, 403])
def test_a_right_that_is_taken_away_ends_it(status):
    with pytest.raises(ClusterError, match="not any more"):
        seen(Script([model("a", 1)], [ClusterError("not any more", status)]), 2)


def test_a_cluster_that_never_answered_is_not_waited_for():
    with pytest.raises(ClusterError, match="gives no answer"):
        seen(Script(NO_ANSWER), 1)
