"""The person without whom some promotions go no further, as the policy and the API server know her."""

import asyncio

from examples.tumor_screening.people import Person, bound
from tests.e2e import policies
from tests.e2e.scene import MODEL, FollowedModel, Scene

BUILDER, OFFICER, ROLE = "ada@example.com", "rita@example.com", "risk"
PEOPLE = [
    {"name": "Ada", "usernames": [BUILDER], "identities": [BUILDER], "teams": ["e2e"]},
    {"name": "Rita", "usernames": [OFFICER], "teams": ["risk-office"]},
]
BEFORE_WEIGHT = 50


async def ask_for_an_approval(scene: Scene, stages: policies.Stages) -> None:
    """From now on the policy wants somebody's word before half of the users meet a version."""
    demanded = policies.policy(scene.namespace, stages)
    demanded["spec"]["identityMap"] = {"people": PEOPLE}
    approvals = [{"role": ROLE, "beforeWeight": BEFORE_WEIGHT}]
    demanded["spec"]["stages"]["canary"] = {**stages["canary"], "approvals": approvals}
    await scene.kubectl.apply(demanded, bound(f"modelward-approver-{ROLE}", scene.namespace, OFFICER))


async def approve(scene: Scene, model: FollowedModel) -> None:
    """What she types."""
    [pending] = [row for row in model.status["pendingApprovals"] if row["due"]]
    officer = Person(OFFICER, scene.environment.person(OFFICER))
    asked = ("--role", ROLE, "--yes", "--subject-digest", pending["subjectDigest"])
    said = await asyncio.to_thread(officer.modelward, "approve", MODEL, "-n", scene.namespace, *asked)
    assert said.code == 0, said.text
