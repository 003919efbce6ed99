-- What wrk sends, and what it tells afterwards as one line of JSON.
--
-- BODY and TOKEN come from the environment. Where BODY holds `@n@`, each request gets another number of nine digits,
-- from START on; else every request is the same. NUMBERED adds such a number as a header.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("TOKEN")
wrk.body = os.getenv("BODY")

local before, after = wrk.body:match("^(.*)@n@(.*)$")
if before then
  local n = tonumber(os.getenv("START"))
  request = function()
    n = n + 1
    return wrk.format(nil, nil, nil, before .. string.format("%09d", n) .. after)
  end
end

if os.getenv("NUMBERED") == "True" then
  local n = tonumber(os.getenv("START"))
  request = function()
    n = n + 1
    wrk.headers["X-Request-Id"] = string.format("%09d", n)
    return wrk.format()
  end
end

done = function(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout
  ))
end
