-- SPDX-License-Identifier: BSD-2-Clause
-- For Pktgen-DPDK, with port 0 on the clients' side of the gateway and port 1 in the place of its
-- backends. traffic.conf has what is sent; README.md how to set up the gateway.
--
--     pktgen -l 0-4 -- -P -m "[1-2].0, [3-4].1" -f bench/pktgen/pktgen.lua
--
-- For each number of flows and each size: the throughput at each loss. Prints lines of CSV, also to
-- pktgen.csv.

local SEND, TAKE = "0", "1"
local SETTLE_MS = 2000 -- for what is under way to arrive

-- ---- traffic.conf ----

local function directory()
	return debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
end

local function read_traffic(file)
	local traffic = {}
	for line in assert(io.lines(file)) do
		local name, value = line:match('^([%u_]+)="([^"]*)"')
		if name then
			traffic[name] = value
		end
	end
	return traffic
end

local function numbers(text)
	local list = {}
	for word in text:gmatch("%S+") do
		list[#list + 1] = assert(tonumber(word), word .. " is no number")
	end
	return list
end

local traffic = read_traffic(directory() .. "traffic.conf")

-- ---- frames ----

local function bits_of(flows)
	local bits = 0
	while 2 ^ bits < flows do
		bits = bits + 1
	end
	return bits
end

-- Pktgen's masks: 32 characters, X is random and a dot is left alone; the last BITS are random.
local function mask(fixed, bits)
	return fixed:sub(1, 32 - bits) .. ("X"):rep(bits)
end

-- Random ports first, then addresses: at most 10 bits of port, so that both vary.
local function set_flows(flows)
	local bits = bits_of(flows)
	local port_bits = math.min(bits, 10)
	local dots = ("."):rep(32)

	-- Of untagged IPv4: the source address at byte 26, the ports at 34.
	pktgen.rnd(SEND, 0, 26, mask(dots, bits - port_bits))
	pktgen.rnd(SEND, 1, 34, mask(dots, port_bits + 16):sub(1, 16) .. ("."):rep(16))
end

local function set_up()
	pktgen.screen("off")
	pktgen.stop("all")
	pktgen.set_mac(SEND, "dst", traffic.GATEWAY_MAC)
	pktgen.set_type(SEND, "ipv4")
	pktgen.set_proto(SEND, traffic.PROTOCOL)
	pktgen.set_ipaddr(SEND, "dst", traffic.VIP)
	pktgen.set_ipaddr(SEND, "src", traffic.SOURCE .. "/32")
	pktgen.set(SEND, "dport", tonumber(traffic.PORT))
	pktgen.set(SEND, "sport", tonumber(traffic.SOURCE_PORT))
	pktgen.set(SEND, "count", 0)
end

-- ---- trials ----

local function trial(rate, seconds)
	pktgen.set(SEND, "rate", rate)
	pktgen.clr()
	pktgen.delay(500)
	pktgen.start(SEND)
	pktgen.delay(seconds * 1000)
	pktgen.stop(SEND)
	pktgen.delay(SETTLE_MS)
	local sent = pktgen.portStats(SEND, "port")[tonumber(SEND)].opackets
	local taken = pktgen.portStats(TAKE, "port")[tonumber(TAKE)].ipackets
	return sent, taken, sent > 0 and 100 * (1 - taken / sent) or 100
end

local function throughput(loss, resolution, seconds)
	local low, high, best = 0, 100, { 0, 0 }
	local rate = high
	while high - low > resolution do
		local sent, taken, lost = trial(rate, seconds)
		if lost <= loss then
			low, best = rate, { rate, taken / seconds / 1e6 }
			if rate == 100 then
				break
			end
		else
			high = rate
		end
		rate = (low + high) / 2
	end
	return best[1], best[2]
end

local function main()
	local csv = assert(io.open("pktgen.csv", "w"))
	local function say(line)
		print(line)
		csv:write(line, "\n")
		csv:flush()
	end

	set_up()
	say("flows,size,loss_percent,rate_percent,mpps")
	for _, flows in ipairs(numbers(traffic.FLOWS)) do
		set_flows(flows)
		for _, size in ipairs(numbers(traffic.SIZES)) do
			pktgen.set(SEND, "size", size)
			for _, loss in ipairs(numbers(traffic.LOSSES)) do
				local rate, mpps = throughput(loss, tonumber(traffic.RESOLUTION),
					tonumber(traffic.SECONDS_TRIAL))
				say(("%d,%d,%g,%.2f,%.3f"):format(flows, size, loss, rate, mpps))
			end
		end
	end
	csv:close()
end

main()
