"""query and evaluation: judged from what was answered or recorded, without readings of pods."""

from datetime import timedelta

import pytest

from modelward.api.model_evaluation import ModelEvaluation
from modelward.governance.approvals import Trust
from modelward.lifecycle.evidence import begin, judge
from modelward.lifecycle.gates.verdict import Result
from modelward.stats.readings import QueryAnswer
from tests.unit.gates.builders import BEGAN, gate, inputs

OURS, THEIRS, DATA, OTHER_DATA = (f"sha256:{letter * 64}" for letter in "abcd")
QUERY = gate(name="cost", query={"source": "platform", "query": "sum(cost)", "min": 1, "max": 5})


def judged(item, **context):
    return judge(
        begin("Validation", BEGAN, ""), [item], inputs(10, candidate_digest=OURS, incumbent_digest=THEIRS, **context)
    )[0]


def answered(value=None, problem=None, reason="InvalidResult", age=0.0):
    at = (BEGAN + timedelta(minutes=10)).timestamp() - age
    return judged(QUERY, queries={"cost": QueryAnswer(value, problem, reason, at)})


@pytest.mark.parametrize(
    ("answer", "result", "sentence"),
    [
        pytest.param({"value": 3.0}, Result.PASS, "the query gives 3, within the bound of 5", id="within"),
        pytest.param({"value": 5.5}, Result.FAIL, "the query gives 5.5, above the maximum of 5", id="above"),
        pytest.param({"value": 0.2}, Result.FAIL, "the query gives 0.2, below the minimum of 1", id="below"),
        pytest.param(
            {"value": float("nan")}, Result.UNKNOWN, "source platform answered nan, which is no finite number", id="NaN"
        ),
        pytest.param(
            {"value": float("inf")}, Result.UNKNOWN, "source platform answered inf, which is no finite number", id="Inf"
        ),
        pytest.param(
            {"problem": "the query gave two series"}, Result.UNKNOWN, "the query gave two series", id="two series"
        ),
        pytest.param(
            {"value": 3.0, "age": 300},
            Result.UNKNOWN,
            "the answer of source platform is 300 s old; at most 2m is allowed",
            id="stale",
        ),
    ],
)
def test_a_query_gives_one_finite_fresh_number_or_nothing(answer, result, sentence):
    verdict = answered(**answer)
    assert (verdict.result, verdict.sentence) == (result, sentence)


def test_a_query_that_was_not_asked_is_unknown():
    assert judged(QUERY).result is Result.UNKNOWN


def evaluation(name="v8-holdout", digest=OURS, auc=0.87, day=-1.0, dataset=DATA, valid_until=None, metric="auc"):
    return ModelEvaluation.model_validate(
        {
            "metadata": {"name": name},
            "spec": {
                "model": "credit",
                "version": "v8",
                "versionDigest": digest,
                "name": "holdout",
                "evaluator": "ci",
                "dataset": dataset,
                "metrics": [{"name": metric, "value": auc}],
                "at": BEGAN + timedelta(days=day),
                "validUntil": valid_until,
            },
        }
    )


def holdout(**bounds):
    return gate(name="auc", evaluation={"name": "holdout", "metric": "auc", **bounds})


INCUMBENTS = evaluation("v7-holdout", THEIRS, 0.88)
PIPELINE, DEVELOPER = "system:serviceaccount:promotion:pipeline", "mallory"


def made(by, minute=5, **changes):
    """Somebody's evaluation, created so many minutes after BEGAN."""
    found = evaluation(**changes)
    created = (BEGAN + timedelta(minutes=minute)).isoformat()
    return found.model_copy(
        update={
            "metadata": found.metadata.model_copy(update={"creation_timestamp": created}),
            "spec": found.spec.model_copy(update={"evaluator": by}),
        }
    )


@pytest.mark.parametrize(
    ("bounds", "evaluations", "result", "says"),
    [
        pytest.param(
            {"min": 0.8},
            [evaluation()],
            Result.PASS,
            "auc is 0.87 in evaluation v8-holdout, within the bound of 0.8",
            id="good",
        ),
        pytest.param({"min": 0.9}, [evaluation()], Result.FAIL, "below the minimum of 0.9", id="below"),
        pytest.param({"max": 0.5}, [evaluation()], Result.FAIL, "above the maximum of 0.5", id="above"),
        pytest.param({"min": 0.8}, [], Result.UNKNOWN, "there is no evaluation holdout of v8", id="none"),
        pytest.param(
            {"min": 0.8},
            [evaluation(digest=THEIRS)],
            Result.UNKNOWN,
            "there is no evaluation",
            id="of another artifact",
        ),
        pytest.param({"min": 0.8}, [evaluation(day=1)], Result.UNKNOWN, "there is no evaluation", id="from the future"),
        pytest.param(
            {"min": 0.8}, [evaluation(metric="f1")], Result.UNKNOWN, "has no finite metric auc", id="without the metric"
        ),
        pytest.param({"min": 0.8, "maxAge": "12h"}, [evaluation()], Result.UNKNOWN, "older than 12h", id="too old"),
        pytest.param(
            {"min": 0.8},
            [evaluation(valid_until=BEGAN)],
            Result.UNKNOWN,
            "was valid until 2026-03-01 09:00 UTC",
            id="expired",
        ),
        pytest.param(
            {"min": 0.8},
            [evaluation(auc=0.7, day=-2), evaluation("newer")],
            Result.PASS,
            "evaluation newer",
            id="the newest counts",
        ),
        pytest.param(
            {"versusIncumbent": {"maxDecrease": 0.02}},
            [evaluation(), INCUMBENTS],
            Result.PASS,
            "0.01 below v7 on the same data set",
            id="close enough",
        ),
        pytest.param(
            {"versusIncumbent": {"maxDecrease": 0.005}},
            [evaluation(), INCUMBENTS],
            Result.FAIL,
            "(bound 0.005)",
            id="worse",
        ),
        pytest.param(
            {"versusIncumbent": {"maxDecrease": 0.02}},
            [evaluation(dataset=OTHER_DATA), INCUMBENTS],
            Result.UNKNOWN,
            "another data set",
            id="other data",
        ),
        pytest.param(
            {"versusIncumbent": {"maxDecrease": 0.02}},
            [evaluation()],
            Result.UNKNOWN,
            "of v7 to compare with",
            id="no other",
        ),
        pytest.param(
            {"min": 0.9, "versusIncumbent": {"maxDecrease": 0.02}},
            [evaluation()],
            Result.FAIL,
            "below the minimum",
            id="an absolute bound needs no other",
        ),
    ],
)
def test_an_evaluation_is_held_against_bounds(bounds, evaluations, result, says):
    verdict = judged(holdout(**bounds), evaluations=tuple(evaluations))
    assert verdict.result is result
    assert says in verdict.sentence


def test_a_first_version_is_compared_with_no_evaluation():
    verdict = judged(holdout(versusIncumbent={"maxDecrease": 0.02}), evaluations=(evaluation(),), incumbent=None)
    assert (verdict.result, verdict.applies) == (Result.INCONCLUSIVE, False)
    verdict = judged(
        holdout(min=0.8, versusIncumbent={"maxDecrease": 0.02}), evaluations=(evaluation(),), incumbent=None
    )
    assert (verdict.result, verdict.applies) == (Result.PASS, True)


IN_PLACE = Trust(since=BEGAN)
OF_THE_PIPELINE = holdout(min=0.8, evaluators=[PIPELINE, "vera"])


@pytest.mark.parametrize(
    ("evaluations", "trust", "result", "says"),
    [
        pytest.param([made(PIPELINE)], IN_PLACE, Result.PASS, "within the bound of 0.8", id="one that is named"),
        pytest.param(
            [made(DEVELOPER, auc=0.99)],
            IN_PLACE,
            Result.UNKNOWN,
            "that counts: v8-holdout is by mallory, which is none of system:serviceaccount:promotion:pipeline, vera",
            id="somebody else",
        ),
        pytest.param(
            [made(PIPELINE, auc=0.5), made(DEVELOPER, name="newer", auc=0.99, day=-0.5)],
            IN_PLACE,
            Result.FAIL,
            "below the minimum of 0.8",
            id="a newer one of somebody else does not take the place of a bad one",
        ),
        pytest.param(
            [made(PIPELINE), made(DEVELOPER, name="newer", auc=0.1, day=-0.5)],
            IN_PLACE,
            Result.PASS,
            "auc is 0.87 in evaluation v8-holdout",
            id="nor that of a good one",
        ),
        pytest.param(
            [made(PIPELINE, minute=-1)],
            IN_PLACE,
            Result.UNKNOWN,
            "was not made since the admission policies are in place (2026-03-01 09:00:00 UTC): make it anew",
            id="one from before names were checked",
        ),
        pytest.param(
            [made(PIPELINE)],
            Trust(problem="ValidatingAdmissionPolicy modelward-evaluations is missing"),
            Result.UNKNOWN,
            "none counts: ValidatingAdmissionPolicy modelward-evaluations is missing",
            id="while names are not checked",
        ),
    ],
)
def test_where_it_matters_who_evaluated_only_those_who_are_named_count(evaluations, trust, result, says):
    verdict = judged(OF_THE_PIPELINE, evaluations=tuple(evaluations), trust=trust)
    assert verdict.result is result
    assert says in verdict.sentence


def test_the_incumbent_too_is_compared_by_evaluations_of_those_who_are_named():
    gate_ = holdout(versusIncumbent={"maxDecrease": 0.02}, evaluators=[PIPELINE])
    forged = made(DEVELOPER, name="v7-holdout", digest=THEIRS, auc=0.1)
    verdict = judged(gate_, evaluations=(made(PIPELINE), forged), trust=IN_PLACE)
    assert verdict.result is Result.UNKNOWN
    assert "no evaluation holdout of v7 to compare with" in verdict.sentence


def test_where_nobody_is_named_the_admission_policies_do_not_matter():
    verdict = judged(holdout(min=0.8), evaluations=(made(DEVELOPER),), trust=Trust(problem="they are missing"))
    assert verdict.result is Result.PASS
