"""What a model server imports: features, predictions, latency and errors on a Prometheus page, in a few lines.

    monitor = Monitor.from_baseline("baseline.json")
    monitor.serve(port=9090)

    with monitor.request() as request:
        request.features(row)
        request.prediction(model.predict(row))

Where labels come back later, even days later:

    monitor = Monitor.from_baseline("baseline.json", truth=Truth.scores(groups={"sex": ("f", "m")}))
    ...
        request.prediction(score, id=request_id)
    ...
    monitor.feedback(request_id, label="1", group={"sex": "f"})

Needs numpy and prometheus-client, nothing else.
"""

from modelward.instrument.layout import OTHER, Categorical, Numeric, category_name
from modelward.instrument.monitor import VERSION_HEADER, Monitor, Request
from modelward.instrument.truth import Truth

__all__ = ["OTHER", "VERSION_HEADER", "Categorical", "Monitor", "Numeric", "Request", "Truth", "category_name"]
