"""What a model server imports: features, predictions, latency and errors on a Prometheus page, in a few lines.

    monitor = Monitor.from_baseline("baseline.json")
    monitor.serve(port=9090)

    with monitor.request() as request:
        request.features(row)
        request.prediction(model.predict(row))

Needs numpy and prometheus-client, nothing else.
"""

from modelward.instrument.layout import OTHER, Categorical, Numeric, category_name
from modelward.instrument.monitor import VERSION_HEADER, Monitor, Request

__all__ = ["OTHER", "VERSION_HEADER", "Categorical", "Monitor", "Numeric", "Request", "category_name"]
