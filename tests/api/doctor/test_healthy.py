"""An installation with nothing wrong, as `modelward doctor` tells of it."""

from modelward.diagnosis.checks import CHECKS
from tests.api.doctor.world import World


def test_nothing_is_wrong_with_a_whole_installation(world: World) -> None:
    told = world.doctor("--strict")
    assert told.amiss == []
    assert told.exit_code == 0
    assert [each["check"] for each in told.findings] == [check.name for check in CHECKS]
