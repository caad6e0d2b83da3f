"""Gate kinds that policies may name and this operator cannot judge yet: never ignored, always Unknown."""

from dataclasses import dataclass

from modelward.api.gates import Gate
from modelward.lifecycle.gates.verdict import GateContext, Look, State, Verdict, unknown


@dataclass(frozen=True)
class UnimplementedKind:
    """Holds the rollout and says why."""

    name: str
    spends_alpha: bool = False

    def series(self, gate: Gate) -> tuple[str, ...]:
        return ()

    def compares(self, gate: Gate) -> bool:
        return False

    def start(self, gate: Gate, context: GateContext) -> State:
        return {}

    def fold(self, gate: Gate, state: State, look: Look, context: GateContext) -> State:
        return state

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        sentence = f"this operator does not implement gate kind {self.name} yet; the rollout holds"
        return unknown(gate, context, sentence, "NotImplemented")
