-- Prints wrk's own counters as one JSON line. Only `done` is defined: a per-request hook would slow wrk down.
done = function(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"requests": %d, "microseconds": %d, "errors": %d, "p50": %.0f, "p99": %.0f}\n',
      summary.requests, summary.duration,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout,
      latency:percentile(50), latency:percentile(99)))
end
