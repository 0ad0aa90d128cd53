--[[
  The deadline of an open hold. While server and caller agree about the time (within a minute) it is one instant. If
  they do not, one of them is wrong, and no single call can tell which: by the clock of a server that is an hour ahead
  a hold would stay an hour too long, by that of a caller who is an hour behind it would end an hour early. Then the
  record keeps both, and whoever finds the earlier one passed decides:
    due  the earlier, by the caller's clock and a minute
    by   the later, by the server's; nil if it is the same
    set  when the deadline was set, by the server's
]]
-- Never nearer than it was.
local function set_deadline(a, r, due, by)
  local before = r.by or r.due or 0
  if by > before then r.set = a.now end
  r.due, r.by = math.max(r.due or 0, due), math.max(before, by)
  if r.by == r.due then r.by, r.set = nil, nil end
end

local function is_over(a, r)
  if r.due > a.sure then return false end
  if not r.by or a.now >= r.by or r.set > a.now + SKEW_MS or r.set <= wrong_ms then return true end
  -- Nothing says that the server was wrong: as much of it is left as the server's clock has not measured yet.
  r.due = a.sure + r.by - a.now
  if r.due == r.by then r.by, r.set = nil, nil end
  return false
end
