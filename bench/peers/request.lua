-- What wrk sends, and what it tells afterwards as one line of JSON.
--
-- BODY and TOKEN come from the environment. Where BODY holds `@n@`, each request gets another number of nine digits,
-- from START on; else every request is the same. With NUMBERED each has the head that a browser sends, and the headers
-- that a balancer and tracing add, with such a number.
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
  wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
  wrk.headers["Accept-Language"] = "en-GB,en;q=0.9,de;q=0.8"
  wrk.headers["Referer"] = "http://127.0.0.1/products"
  wrk.headers["Sec-Fetch-Site"] = "same-origin"
  wrk.headers["Sec-Fetch-Mode"] = "cors"
  wrk.headers["Sec-Fetch-Dest"] = "empty"
  request = function()
    n = n + 1
    wrk.headers["X-Request-Id"] = string.format("%09d", n)
    wrk.headers["traceparent"] = string.format("00-%032x-%016x-01", n, n)
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
