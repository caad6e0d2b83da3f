"""Gate kinds that policies may name and this operator cannot judge yet: never ignored, always Unknown."""

from dataclasses import dataclass

from modelward.api.gates import Gate
from modelward.lifecycle.gates.verdict import GateContext, State, Verdict, WithoutSeries, unknown


@dataclass(frozen=True)
class UnimplementedKind(WithoutSeries):
    """Holds the rollout and says why."""

    name: str

    def judge(self, gate: Gate, state: State, context: GateContext) -> Verdict:
        sentence = f"this operator does not implement gate kind {self.name} yet; the rollout holds"
        return unknown(gate, context, sentence, "NotImplemented")
