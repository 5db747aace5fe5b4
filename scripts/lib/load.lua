-- SPDX-License-Identifier: BSD-2-Clause
-- For wrk: each connection rests PAUSE milliseconds between its requests (the first argument, after
-- "--"), and the sums at the end come as one line of JSON, exact and not rounded for people.

local pause = 0

function init(args)
	pause = tonumber(args[1]) or 0
end

function delay()
	return pause
end

function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format(
		'{"requests": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d, ' ..
		'"status": %d, "seconds": %.3f, "p50_us": %d, "p99_us": %d, "p999_us": %d, ' ..
		'"max_us": %d}\n',
		summary.requests, e.connect, e.read, e.write, e.timeout, e.status,
		summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
		latency:percentile(99.9), latency.max))
end
