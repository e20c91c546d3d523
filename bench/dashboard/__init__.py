"""The picture in docs/monitoring.md: the chart's own dashboard, drawn from a real Prometheus."""
