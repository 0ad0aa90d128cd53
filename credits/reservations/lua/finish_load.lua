--[[
  Install an account from its SQL snapshot, if nothing moved since begin_load. Holds whose records survived (a restart
  that kept its data, a new epoch) are adopted as far as their lots still have the credits: that only lowers what is
  available.
  KEYS  shard · account · lots · holds · due · journal · token
  ARGV  epoch · account id · token · caller ms · receipt ms · sv · number of types · (type · debt)… · (type · available · sort key)…
  Returns
    LOADED      installed now or before; how many holds were adopted
    LOST_TOKEN  a credit arrived, or another load began: begin again
    STALE       not this epoch
]]
-- Take a surviving hold's credits out of the fresh lots again; false, and nothing taken, if one of them lacks them.
local function adopt(k, a, r)
  for _, name in ipairs(r.order) do
    for id, part in string.gmatch(r.items[name].lots, '(%w+):(%d+)') do
      local have = lot(k, a, id)
      if not have or have < tonumber(part) then return false end
    end
  end
  for _, name in ipairs(r.order) do
    local c = kind(k, a, name)
    for id, part in string.gmatch(r.items[name].lots, '(%w+):(%d+)') do
      local have, sort_key = lot(k, a, id)
      local n = tonumber(part)
      put_lot(k, a, name, id, have, have - n, sort_key)
      c.av, c.hd = c.av - n, c.hd + n
    end
  end
  r.load = a.load
  return true
end

local function finish_load(keys, args)
  local k = names(keys)
  local m = redis.call('HMGET', k.shard, 'ep', 'vt')
  if m[1] ~= args[1] or armed[k.shard] ~= args[1] then return { 'STALE' } end
  if open(k, args[1]) then return { 'LOADED', '0' } end
  local held = redis.call('GET', k.token)
  if not held or string.match(held, '^(.*)|%d+$') ~= args[3] then return { 'LOST_TOKEN' } end
  redis.call('DEL', k.token, k.account, k.lots)
  local now, sure = clock(m[2], 0, args[4])
  local a = { load = args[3], sv = tonumber(args[6]), x = NEVER, last = sure, now = now, sure = sure, zn = 0, hn = 0,
              kinds = {}, set = {} }
  local at = 8
  for _ = 1, tonumber(args[7]) do
    kind(k, a, args[at]).dt = tonumber(args[at + 1])
    at = at + 2
  end
  for i = at, #args, 3 do
    local n, sort_key = tonumber(args[i + 1]), args[i + 2]
    local c = kind(k, a, args[i])
    put_lot(k, a, args[i], lot_of(sort_key), 0, n, sort_key)
    c.av = c.av + n
  end
  redis.call('HSET', k.account, 'ep', args[1], 'ld', a.load, 'sv', args[6])
  local adopted = 0
  local records = redis.call('HGETALL', k.holds)
  redis.call('DEL', k.due)
  for i = 1, #records, 2 do
    local r = unpack_record(records[i + 1])
    a.hn = a.hn + 1
    if r.state == 'H' and r.due > sure and adopt(k, a, r) then
      adopted = adopted + 1
    elseif r.state == 'H' then
      -- Lost: its commit will find the record and take the rescue path.
      r.state = 'X'
    end
    put_record(k, a, records[i], r, false)
  end
  lapse(k, a, sure)
  save(k, a)
  return { 'LOADED', I(adopted) }
end
