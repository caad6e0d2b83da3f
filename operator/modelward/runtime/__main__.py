"""The operator's process: builds the parts, runs them side by side, and takes them down in order on SIGTERM."""

import asyncio
import logging
import random
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack

from modelward.archive.configuration import ArchiveInvalid, open_archive
from modelward.governance.discovery import SignsInvalid
from modelward.metrics.presets import PresetsInvalid
from modelward.metrics.reader import open_reader
from modelward.metrics.sources import SourcesInvalid
from modelward.runtime import logs, shell
from modelward.runtime.cache import Cache
from modelward.runtime.clock import SystemClock
from modelward.runtime.controller import Controller
from modelward.runtime.discovering import Discovery, all_signs
from modelward.runtime.elector import Elector, LeaseTerms
from modelward.runtime.health import health_server
from modelward.runtime.intake import Intake
from modelward.runtime.keys import ModelKey
from modelward.runtime.kube import KubeClient, NoCluster
from modelward.runtime.notifying import Notifier, NotifyMetrics
from modelward.runtime.portfolio import PortfolioMetrics
from modelward.runtime.queue import WorkQueue
from modelward.runtime.settings import Settings, load
from modelward.runtime.telemetry import Telemetry
from modelward.runtime.webhooks import NotificationsInvalid, load_webhooks

logger = logging.getLogger("modelward.runtime")

STOP_WATCHING_SECONDS = 10.0
# The API server takes JSON that is nested 10,000 deep. A reader that gives up earlier could be kept from seeing any object
# of a kind by one of them; what is nested too deep is refused where it is parsed, with a sentence.
DEEPEST_JSON = 12_000


def main() -> int:
    settings = load(sys.argv[1:])
    sys.setrecursionlimit(DEEPEST_JSON)
    logs.configure(settings.log_level, settings.log_format)
    try:
        asyncio.run(operate(settings))
    except SourcesInvalid as error:
        logger.error("--metrics-config %s: %s", settings.metrics_config, error)
        return 2
    except PresetsInvalid as error:
        logger.error("--metrics-presets: %s", error)
        return 2
    except ArchiveInvalid as error:
        logger.error("--audit-export %s", error)
        return 2
    except SignsInvalid as error:
        logger.error("--discovery-signs %s", error)
        return 2
    except NotificationsInvalid as error:
        logger.error("--notifications %s", error)
        return 2
    except NoCluster as error:
        logger.error("no cluster to work with: %s", error)
        return 2
    return 0


async def operate(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        SourcesInvalid: when the list of Prometheus servers cannot be used.
        PresetsInvalid: when a preset of the platform cannot be used.
        ArchiveInvalid: when the storage of audit records is not named as it should be.
        NotificationsInvalid: when a webhook is not named as it should be.
        SignsInvalid: when the platform's signs of inference servers cannot be used.
        NoCluster: when there are no credentials of a cluster.
    """
    # Here and not above, so that `--help` and a wrong flag are answered without loading what decides.
    from modelward.runtime.reconcile import Reconciler

    clock, chance = SystemClock(), random.Random()
    telemetry = Telemetry(clock)
    async with AsyncExitStack() as opened:
        reader = await opened.enter_async_context(open_reader(settings.metrics_config, settings.metrics_presets))
        kube = await KubeClient.connect(
            timeout=settings.request_timeout, instance=settings.identity, on_write=telemetry.count_write
        )
        opened.push_async_callback(kube.close)
        cache = Cache()
        queue: WorkQueue[ModelKey] = WorkQueue(clock, chance, first_delay=0.25)
        intake = Intake(
            kube,
            cache,
            queue,
            telemetry,
            clock,
            chance,
            namespaces=settings.watch_namespaces,
            resync_seconds=settings.resync_seconds,
        )
        terms = LeaseTerms(settings.lease_namespace, settings.lease_name, settings.identity)
        elector = Elector(kube, terms, clock, chance)
        fenced = kube.fenced(lambda: elector.is_leader)
        portfolio = PortfolioMetrics(telemetry.registry, cache, clock, lambda: elector.is_leader)
        reconciler = Reconciler(fenced, cache, reader, clock, settings, telemetry, portfolio.note)
        controller = Controller(queue, cache, reconciler.reconcile, telemetry, clock, workers=settings.workers)
        led = [controller.lead]
        if settings.audit_export is not None:
            # Here and not above: what signs takes memory that only those who export should pay.
            from modelward.runtime.exporting import AuditExport, ExportMetrics

            archive = open_archive(settings.audit_export, clock.now)
            opened.push_async_callback(archive.exporter.close)
            led.append(AuditExport(fenced, cache, archive, clock, ExportMetrics(telemetry.registry, clock)).run)
        if settings.discovery_seconds:
            signs = all_signs(settings.discovery_signs)
            discovery = Discovery(
                fenced,
                cache,
                signs,
                clock,
                telemetry.registry,
                namespaces=settings.watch_namespaces,
                pause_seconds=settings.discovery_seconds,
            )
            led.append(discovery.run)
        if settings.notifications is not None:
            notifier = Notifier(
                fenced,
                cache,
                load_webhooks(settings.notifications),
                clock,
                NotifyMetrics(telemetry.registry),
                namespace=settings.lease_namespace,
                name=f"{settings.lease_name}-notifications",
            )
            led.append(notifier.run)
        telemetry.watch_queue(lambda: queue.depth, lambda: queue.scheduled, lambda: queue.active)
        telemetry.watch_leadership(lambda: elector.is_leader)
        await opened.enter_async_context(
            health_server(
                settings.health_host,
                settings.health_port,
                live={"workers": controller.problem},
                ready={"cache": intake.problem},
                metrics=telemetry.page,
            )
        )
        await _run(settings, intake, elector, controller, led)


async def _run(
    settings: Settings,
    intake: Intake,
    elector: Elector,
    controller: Controller,
    led: Sequence[Callable[[], Coroutine[object, object, None]]],
) -> None:
    """Run the parts until one ends; then take them down: first the work, then the Lease, then the watches."""
    stop, stop_watching = asyncio.Event(), asyncio.Event()
    _stop_on_signals(stop)

    async def watch() -> None:
        await intake.synced.wait()
        await shell.watch(
            intake.served,
            intake.event,
            stop=stop_watching,
            started=lambda: _stop_on_signals(stop),
            namespaces=settings.watch_namespaces,
        )

    async def work() -> None:
        await intake.synced.wait()
        await elector.run(lead)

    async def lead() -> None:
        async with asyncio.TaskGroup() as tasks:
            for part in led:
                tasks.create_task(part())

    parts: list[asyncio.Task[object]] = [
        asyncio.create_task(part(), name=name)
        for name, part in {
            "stop": stop.wait,
            "work": work,
            "watch": watch,
            "heartbeat": controller.run_heartbeat,
            "resyncs": intake.run_resyncs,
            "policy changes": intake.run_policy_changes,
        }.items()
    ]
    stopping, working, watching, *others = parts
    ended, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
    logger.info("stopping")
    await _cancel(working)
    stop_watching.set()
    if intake.synced.is_set():
        await asyncio.wait({watching}, timeout=STOP_WATCHING_SECONDS)
    await _cancel(watching, stopping, *others)
    for part in ended - {stopping}:
        part.result()
        raise RuntimeError(f"{part.get_name()} ended by itself")


async def _cancel(*tasks: asyncio.Task[object]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


if __name__ == "__main__":
    sys.exit(main())
