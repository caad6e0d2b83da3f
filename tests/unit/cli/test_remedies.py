"""What to do about a reason, as it is said beside the message that carries it."""

import pytest

from modelward.api import reasons
from modelward.cli.remedies import remedy_of

BEGINNINGS = {
    reasons.METRICS_UNAVAILABLE: "Check `spec.serving.metrics` and the server's page.",
    reasons.ROUTE_NOT_ACCEPTED: "Check `spec.serving.route.parentRefs`",
    reasons.PODS_NOT_READY: "Put the registry, the Secret, the ConfigMap or the node right",
    reasons.SHARE_MISMATCH: "Look for requests that bypass the route",
}


@pytest.mark.parametrize("reason", BEGINNINGS)
def test_a_remedy_begins_with_what_to_do_and_does_not_send_back_to_the_message_above_it(reason):
    assert remedy_of(reason).startswith(BEGINNINGS[reason])


@pytest.mark.parametrize("name", [name for name in dir(reasons) if name.isupper()])
def test_no_remedy_sends_anybody_to_the_message_first(name):
    first = remedy_of(getattr(reasons, name)).partition(".")[0]
    assert not first.startswith(("Read the message", "Read the sentence", "The message", "The sentence"))


def test_a_reason_of_another_release_has_no_remedy_and_is_no_error():
    assert remedy_of("FromTheFuture") == ""
