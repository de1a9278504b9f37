-- wrk script. BENCH_BODY: a POST body, whose "__N__" becomes a number that differs in each request
-- (counted from BENCH_FROM), so that no cache of whole answers can serve it.
-- Prints one line of JSON at the end.
local body = os.getenv("BENCH_BODY")
if body and #body > 0 then
  local head = { ["Content-Type"] = "application/json" }
  local first, last = string.find(body, '"__N__"', 1, true)
  if first then
    local left, right = string.sub(body, 1, first - 1), string.sub(body, last + 1)
    local n = tonumber(os.getenv("BENCH_FROM") or "1")
    request = function()
      n = n + 1
      return wrk.format("POST", nil, head, left .. string.format("%d", n) .. right)
    end
  else
    wrk.method, wrk.body, wrk.headers = "POST", body, head
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.timeout
  io.write(string.format(
    '\nBENCH {"requests":%d,"duration_us":%d,"bytes":%d,"failed":%d,"status":%d,"p50_us":%d,"p99_us":%d,"max_us":%d}\n',
    summary.requests, summary.duration, summary.bytes, failed, e.status,
    latency:percentile(50), latency:percentile(99), latency.max))
end
