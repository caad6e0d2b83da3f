"""Metrics straight from the pods of a version: one scrape of each pod at each look.

A look at a part of the pods would be biased towards those that are well, so one pod that cannot be read makes the whole
reading a problem. Only addresses that the operator took from its own pods are ever called.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import aiohttp

from modelward.api.model import MetricsEndpoint
from modelward.metrics.absent import absent_series
from modelward.metrics.canonical import InvalidSamples
from modelward.metrics.exposition import OPENMETRICS, NotAnExposition, read_exposition
from modelward.metrics.presets import Preset
from modelward.metrics.transport import (
    NO_CREDENTIALS,
    POD_LIMITS,
    Credentials,
    CredentialsUnreadable,
    Limits,
    RequestFailed,
    request,
)
from modelward.stats.readings import PodReading, PodTarget, Reading, Series

_ACCEPT = {"Accept": f"{OPENMETRICS};version=1.0.0,text/plain;version=0.0.4;q=0.5"}
_REMEDY = "check spec.serving.metrics"


@dataclass(frozen=True)
class PodAccess:
    """How the pods of all Models are spoken to, as the platform configured it."""

    https: bool = False
    credentials: Credentials = NO_CREDENTIALS


PLAIN = PodAccess()


class PodsSource:
    """Scrapes pods, at most `concurrency` at a time over all Models."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        limits: Limits = POD_LIMITS,
        concurrency: int = 32,
        access: PodAccess = PLAIN,
    ) -> None:
        self._session = session
        self._limits = limits
        self._access = access
        self._slots = asyncio.Semaphore(concurrency)

    async def read(
        self,
        version: str,
        targets: Sequence[PodTarget],
        endpoint: MetricsEndpoint,
        preset: Preset,
        wanted: Sequence[str],
        now: float,
    ) -> Reading:
        """All pods' series, or the first pod's problem."""
        answers = await asyncio.gather(*(self._read_pod(target, endpoint, preset, wanted) for target in targets))
        problems = [answer for answer in answers if isinstance(answer, _Problem)]
        if problems:
            return Reading(version=version, at=now, problem=_sentence(problems), reason=problems[0].reason)
        pods = tuple(
            PodReading(pod=target.name, started_at=target.started_at, at=now, series=series)
            for target, series in zip(targets, answers, strict=True)
            if not isinstance(series, _Problem)
        )
        return Reading(version=version, at=now, pods=pods, absent=absent_series(preset, wanted, pods))

    async def _read_pod(
        self, target: PodTarget, endpoint: MetricsEndpoint, preset: Preset, wanted: Sequence[str]
    ) -> "Mapping[str, Series] | _Problem":
        where = f"on :{endpoint.port}{endpoint.path}"
        try:
            async with self._slots:
                answer = await request(
                    self._session,
                    "GET",
                    _url(target, endpoint, "https" if self._access.https else "http"),
                    self._limits,
                    headers=_ACCEPT,
                    credentials=self._access.credentials,
                )
            if answer.status != 200:
                return _Problem(f"pod {target.name} answered {answer.status} {where}", "MetricsUnavailable")
            # Parsing takes milliseconds for usual pages and seconds for the largest allowed: not on the event loop.
            return await asyncio.to_thread(
                read_exposition, answer.body.decode("utf-8"), answer.content_type, preset, wanted
            )
        except RequestFailed as error:
            return _Problem(f"pod {target.name} {error} {where}", "MetricsUnavailable")
        except CredentialsUnreadable as error:
            return _Problem(f"pod {target.name} cannot be asked {where}: {error}", "MetricsUnavailable")
        except UnicodeDecodeError:
            return _Problem(f"pod {target.name} answered bytes that are not UTF-8 {where}", "InvalidResult")
        except NotAnExposition as error:
            return _Problem(f"pod {target.name} answered {error}, not Prometheus text, {where}", "InvalidResult")
        except InvalidSamples as error:
            return _Problem(f"pod {target.name} answered metrics that cannot be used {where}: {error}", error.reason)


@dataclass(frozen=True)
class _Problem:
    """Why one pod could not be read."""

    text: str
    reason: str


def _sentence(problems: Sequence[_Problem]) -> str:
    more = f" (and {len(problems) - 1} more pods of this version)" if len(problems) > 1 else ""
    return f"{problems[0].text}{more}: {_REMEDY}"


def _url(target: PodTarget, endpoint: MetricsEndpoint, scheme: str) -> str:
    """The pod's own address, whatever the text of the path: it can only name a path on that pod."""
    try:
        address = ip_address(target.address)
    except ValueError as error:
        raise RequestFailed("has no IP address yet") from error
    host = f"[{address}]" if address.version == 6 else str(address)
    return f"{scheme}://{host}:{endpoint.port}{endpoint.path}"
