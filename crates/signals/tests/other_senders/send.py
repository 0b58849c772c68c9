"""Sends two log records, some metrics and two spans with OpenTelemetry's own libraries, as a program would that was told
`OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_SERVICE_NAME` and nothing else."""
import logging

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

logs = LoggerProvider()
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logger = logging.getLogger("shop")
logger.addHandler(LoggingHandler(logger_provider=logs))
logger.setLevel(logging.DEBUG)

metrics = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
meter = metrics.get_meter("meter")

traces = TracerProvider()
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(traces)

with trace.get_tracer("tracer").start_as_current_span("outer") as outer:
    with trace.get_tracer("tracer").start_as_current_span("inner", attributes={"n": 7}):
        logger.warning("low on %s", "tea", extra={"stock": 3})
    logger.error("none left")
    outer.set_status(trace.StatusCode.ERROR, "empty")

meter.create_counter("sold", unit="1").add(5, {"what": "tea"})
meter.create_histogram("price", unit="EUR").record(2.5)

for provider in (logs, metrics, traces):
    assert provider.force_flush()
    provider.shutdown()
