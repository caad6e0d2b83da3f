"""Models as `modelward status` shows them: once, or every change as it happens."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live

from modelward.api.resources import MODELS
from modelward.cli.cluster import Cluster, Object
from modelward.cli.explain_text import console_for_output
from modelward.cli.output import Output, print_data, print_next
from modelward.cli.reading import Unreadable, no_model, tell_unread
from modelward.cli.status_read import InForce, overview, row, subject_of
from modelward.cli.status_tree import is_plain, line, picture, table
from modelward.cli.terminal import clean
from modelward.cli.watching import Name, Seen, changes

DRAWN_PER_SECOND = 1


def show(cluster: Cluster, name: str, output: Output) -> None:
    """One Model, once."""
    raw = cluster.get(MODELS, name)
    if raw is None:
        raise no_model(cluster, name)
    shown = overview(subject_of(raw, InForce(cluster)), cluster.now())
    if output is not Output.TABLE:
        print_data(shown, output)
        return
    console = console_for_output()
    console.print(picture(shown, plain=is_plain(console)), soft_wrap=not console.is_terminal)


def list_all(cluster: Cluster, where: str, output: Output) -> None:
    """All Models of a namespace, or of all of them, once."""
    models = cluster.list(MODELS, where)
    now = cluster.now()
    rows = [row(raw, now) for raw in models]
    if output is not Output.TABLE:
        print_data(rows, output)
        return
    console = console_for_output()
    console.print(table(rows, plain=is_plain(console)))


def follow(cluster: Cluster, name: str, where: str, output: Output) -> None:
    """Every change as it happens, until Ctrl-C, which is how it is meant to end. Without a name, of all Models."""
    console = console_for_output()
    seen = changes(cluster, MODELS, name, where)
    with suppress(KeyboardInterrupt):
        if output is Output.TABLE and console.is_terminal:
            _draw(cluster, name, seen, console)
        else:
            _write(cluster, name, seen, output, console)


def _draw(cluster: Cluster, name: str, seen: Iterable[Seen], console: Console) -> None:
    """A picture that is drawn anew with every change, and every second, because times pass."""
    in_force, plain = InForce(cluster), is_plain(console)
    drawing: Callable[[], RenderableType] = str
    with Live(console=console, get_renderable=lambda: drawing(), refresh_per_second=DRAWN_PER_SECOND) as live:
        for each in seen:
            drawing = _drawing(cluster, name, each, in_force, plain)
            live.refresh()


def _drawing(cluster: Cluster, name: str, seen: Seen, in_force: InForce, plain: bool) -> Callable[[], RenderableType]:
    """Asks for what it needs now, so that drawing does not."""
    if name:
        subject = subject_of(_only(cluster, name, seen), in_force)
        return lambda: picture(overview(subject, cluster.now()), plain=plain, problem=seen.problem)
    models = list(seen.objects.values())
    return lambda: table([row(raw, cluster.now()) for raw in models], plain=plain, problem=seen.problem)


def _write(cluster: Cluster, name: str, seen: Iterable[Seen], output: Output, console: Console) -> None:
    """Lines that are only ever added: one for each change of what goes on; for programs, a value for each change at all."""
    in_force = InForce(cluster)
    written: dict[Name, Object] = {}
    for each in seen:
        if each.problem:
            Console(stderr=True, soft_wrap=True).print(
                f"No answer: {clean(each.problem)} It is asked again.", markup=False
            )
            continue
        if name:
            _only(cluster, name, each)
        for known, raw in each.objects.items():
            before = written.get(known)
            written[known] = raw
            if before is not None and _what_goes_on(before, output) == _what_goes_on(raw, output):
                continue
            now = cluster.now()
            try:
                said = overview(subject_of(raw, in_force), now)
            except Unreadable as error:  # which does not hide the others
                if name:
                    raise
                tell_unread(raw, error)
                continue
            if output is not Output.TABLE:
                print_next(said, output)
            else:
                told = line(said.namespace, said.model, said.headline)
                console.print(f"{now:%H:%M:%S} {told}", soft_wrap=True, markup=False)


def _what_goes_on(raw: Object, output: Output) -> Any:
    """What makes a new line: for people no figure of a gate, which is another one with every look."""
    status = raw.get("status") or {}
    if output is not Output.TABLE:
        return raw["metadata"]["generation"], status
    conditions = [(each["type"], each["status"], each["reason"]) for each in status.get("conditions") or ()]
    traffic = status.get("traffic") or {}
    people = [(each["role"], each["due"], each["missing"]) for each in status.get("pendingApprovals") or ()]
    said = [status.get(field) for field in ("stage", "weight", "gatesSummary")]
    shares = [(each["version"], each["percent"]) for each in traffic.get("weights") or ()]
    return raw["spec"].get("production"), conditions, people, said, shares


def _only(cluster: Cluster, name: str, seen: Seen) -> Object:
    found = next(iter(seen.objects.values()), None)
    if found is None:
        raise no_model(cluster, name)
    return found
