"""Is the traffic of a candidate really what was configured for it, by the requests that were counted?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from modelward.api import reasons
from modelward.lifecycle.evidence import Evidence
from modelward.lifecycle.gates.wording import percent, requests
from modelward.stats.sequential import log_share_evidence

MIRROR_INCOMPLETE = "MirrorIncomplete"


class ShareResult(StrEnum):
    OK = "Ok"
    MISMATCH = "Mismatch"
    UNKNOWN = "Unknown"


@dataclass(frozen=True)
class ShareVerdict:
    """Is the traffic really split, or mirrored, as configured?"""

    result: ShareResult
    reason: str  # SharesMatch | ShareMismatch | LowTraffic | MirrorComplete | MirrorIncomplete
    sentence: str
    observed: float | None
    expected: float
    samples: int


_SHARE_TOLERANCE = 0.2  # of the smaller share: two versions are never read at exactly the same moment
_SHARE_MINIMUM = 10  # requests expected of the smaller arm, below which nothing can be said
_MIRROR_MINIMUM = 20
_MIRROR_COMPLETE = 0.95
_MIRROR_NOISE = 4.0  # standard deviations: it is looked at again and again


def share_verdict(evidence: Evidence, expected_shares: Mapping[str, float], alpha: float = 0.001) -> ShareVerdict:
    """The candidate's share of the requests since the traffic last changed, against the weights under `candidate` and `incumbent`.

    A mismatch is certain (the multinomial martingale has reached 1/alpha) and more than a fifth of the smaller share.
    """
    weights = (expected_shares["candidate"], expected_shares["incumbent"])
    counts = (evidence.shares.candidate, evidence.shares.incumbent)
    expected, total = weights[0] / sum(weights), sum(counts)
    observed = counts[0] / total if total > 0 else None
    smaller = min(share for share in (expected, 1 - expected) if share > 0)

    def answer(result: ShareResult, reason: str, sentence: str) -> ShareVerdict:
        return ShareVerdict(result, reason, sentence, observed, expected, round(total))

    certain = log_share_evidence(counts, (expected, 1 - expected)) >= math.log(1 / alpha)
    if observed is not None and certain and abs(observed - expected) > _SHARE_TOLERANCE * smaller:
        sentence = f"the candidate answered {percent(observed)} of {requests(round(total))}, where {percent(expected)} was configured"
        return answer(ShareResult.MISMATCH, reasons.SHARE_MISMATCH, sentence)
    if observed is None or total * smaller < _SHARE_MINIMUM:
        sentence = f"{requests(round(total))} since the traffic changed: too few to tell whether {percent(expected)} reach the candidate"
        return answer(ShareResult.UNKNOWN, "LowTraffic", sentence)
    sentence = (
        f"the candidate answered {percent(observed)} of {requests(round(total))}; {percent(expected)} was configured"
    )
    return answer(ShareResult.OK, "SharesMatch", sentence)


def mirror_verdict(evidence: Evidence, mirror_percent: float) -> ShareVerdict:
    """Did the candidate get what was mirrored to it? A slow shadow drops requests, and those that it drops are not like the others.

    Incomplete is below 95 % of what was mirrored, by more than the noise of mirroring a random part.
    """
    share = mirror_percent / 100
    sent = evidence.shares.incumbent * share
    received = evidence.shares.candidate
    observed = received / sent if sent > 0 else None

    def answer(result: ShareResult, reason: str, sentence: str) -> ShareVerdict:
        return ShareVerdict(result, reason, sentence, observed, _MIRROR_COMPLETE, round(sent))

    if observed is None or sent < _MIRROR_MINIMUM:
        sentence = (
            f"{requests(round(sent))} were mirrored since the traffic changed: too few to tell whether they arrive"
        )
        return answer(ShareResult.UNKNOWN, "LowTraffic", sentence)
    noise = _MIRROR_NOISE * math.sqrt(sent * (1 - share))
    sentence = f"the candidate received {percent(observed)} of about {requests(round(sent))} mirrored to it"
    if received < _MIRROR_COMPLETE * sent - noise:
        sentence += f"; below {percent(_MIRROR_COMPLETE)} its evidence is not that of all requests"
        return answer(ShareResult.UNKNOWN, MIRROR_INCOMPLETE, sentence)
    return answer(ShareResult.OK, "MirrorComplete", sentence)
