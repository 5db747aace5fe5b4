-- SPDX-License-Identifier: BSD-2-Clause
-- What stands behind UDP port 6080: an IP packet at once, or behind GUE's header of four bytes
-- (draft-ietf-intarea-gue, variants 1 and 0). tshark doesn't know of it.
local gue = Proto("slgue", "Generic UDP Encapsulation")

function gue.dissector(tvb, pinfo, tree)
	local version, offset = tvb(0, 1):bitfield(0, 4), 0
	if version == 0 then
		version, offset = tvb(1, 1):uint() == 41 and 6 or 4, 4
	end
	Dissector.get(version == 6 and "ipv6" or "ip"):call(tvb(offset):tvb(), pinfo, tree)
end

DissectorTable.get("udp.port"):add(6080, gue)
