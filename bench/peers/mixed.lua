-- What wrk sends in `bench mix`, and what it tells afterwards as one line of JSON.
--
-- PLAN names a file: the number of senders, then for each the header lines that are its own; the number of bodies, and the
-- bodies; then, one a line, the sender and the body of each request. Request number START comes first. In a body `@n@`
-- stands for nine digits and `@price@` for an amount, new in each request. No two requests are alike: each has the head
-- that a browser sends, and what a balancer, a CDN and a tracing library put into it.
local plan = assert(io.open(os.getenv("PLAN")))
local function lines()
  local found = {}
  for i = 1, tonumber(plan:read("*l")) do found[i] = plan:read("*l") end
  return found
end
local senders, bodies = lines(), lines()
for i, sender in ipairs(senders) do senders[i] = sender:gsub("\t", "\r\n") end
local who, what = {}, {}
for line in plan:lines() do
  local sender, body = line:match("(%d+) (%d+)")
  who[#who + 1], what[#what + 1] = tonumber(sender) + 1, tonumber(body) + 1
end
plan:close()

local parts = {}
for i, body in ipairs(bodies) do
  local before, mark, after = body:match("^(.-)@(%l+)@(.*)$")
  if mark then parts[i] = { before, mark == "price", after } end
end

local START = table.concat({
  "POST /graphql HTTP/1.1",
  "Host: shop.example.com",
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Accept: application/json",
  "Accept-Language: en-GB,en;q=0.9,de;q=0.8",
  "Content-Type: application/json",
  "Referer: http://shop.example.com/products",
  'sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="24"',
  "sec-ch-ua-mobile: ?0",
  'sec-ch-ua-platform: "Linux"',
  "Sec-Fetch-Site: same-origin",
  "Sec-Fetch-Mode: cors",
  "Sec-Fetch-Dest: empty",
  "X-Forwarded-Proto: http",
}, "\r\n") .. "\r\n"
local TRACE = "\r\nX-Request-Id: 4d3ae1b2-6f14-4c1e-9d35-%012x\r\ntraceparent: 00-7be2%028x-%016x-01\r\n"
  .. "X-Amzn-Trace-Id: Root=1-692aa1c0-%024x\r\nCF-Ray: %016x-FRA\r\nContent-Length: %d\r\n\r\n"

local format = string.format
local n = tonumber(os.getenv("START"))
function request()
  n = n + 1
  local i = n % #what + 1
  local body = bodies[what[i]]
  local part = parts[what[i]]
  if part then
    body = part[1] .. (part[2] and format("%.2f", (n * 7919 % 9000 + 1000) / 100) or format("%09d", n)) .. part[3]
  end
  return START .. senders[who[i]] .. format(TRACE, n, n, n, n, n, #body) .. body
end

-- A thread has a Lua of its own; `done` reads its globals.
wrong = 0
function response(_, _, body)
  if body:find('"errors"', 1, true) or body:find('"NotFound"', 1, true) or body:find('"InvalidInput"', 1, true) then
    wrong = wrong + 1
    if wrong == 1 then io.stderr:write(body:sub(1, 500), "\n") end
  end
end

local threads = {}
function setup(thread) threads[#threads + 1] = thread end

function done(summary, latency)
  local e, wrong = summary.errors, 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  io.write(format(
    '{"requests":%d,"microseconds":%d,"bytes":%d,"p50":%d,"p99":%d,"failed":%d,"wrong":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout, wrong
  ))
end
