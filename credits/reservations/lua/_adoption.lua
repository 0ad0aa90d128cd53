-- Holds whose records outlived their load: entered again by finish_load as far as the ledger has the credits.

-- Take a surviving hold's credits out of the fresh lots again; false, and nothing taken, if one of them lacks them.
local function adopt_hold(k, a, r)
  for _, name in ipairs(r.order) do
    for id, part in string.gmatch(r.items[name].lots, '(%w+):(%d+)') do
      local have = lot(k, a, name, kind(k, a, name), id)
      if not have or have < tonumber(part) then return false end
    end
  end
  for _, name in ipairs(r.order) do
    local c = kind(k, a, name)
    for id, part in string.gmatch(r.items[name].lots, '(%w+):(%d+)') do
      local have, sort_key = lot(k, a, name, c, id)
      local n = tonumber(part)
      take(k, a, name, c, sort_key, have, n)
      c.hd = c.hd + n
      hold_for(k, a, r.member, name, n)
    end
  end
  r.load = a.load
  return true
end

-- Enter the records of holds that are still there; returns how many were adopted.
local function adopt_holds(k, a, receipt_ms)
  local open_holds, adopted = {}, 0
  local fields = redis.call('HGETALL', k.holds)
  later(a, 'DEL', k.due)
  for i = 1, #fields, 2 do
    local r = unpack_record(fields[i + 1])
    if not r then
      later(a, 'HDEL', k.holds, fields[i])
    elseif r.state == 'H' then
      open_holds[#open_holds + 1] = { hold = fields[i], r = r }
    else
      later(a, 'ZADD', k.due, I(r.due), fields[i])
      a.hn, a.due = a.hn + 1, math.min(a.due, r.due)
    end
  end
  table.sort(open_holds, function(one, other)
    if one.r.made ~= other.r.made then return one.r.made < other.r.made end
    return one.hold < other.hold
  end)
  for _, one in ipairs(open_holds) do
    local r = one.r
    if not is_over(a, r) and adopt_hold(k, a, r) then
      adopted = adopted + 1
    else
      r.state, r.due = 'X', a.sure + receipt_ms
      for _, name in ipairs(r.order) do r.items[name].lots = '' end
    end
    put_record(k, a, one.hold, r, true)
  end
  return adopted
end
