--[[
  Install an account from its SQL snapshot, if nothing moved since begin_load. Holds whose records survived (a restart
  that kept its data, a new epoch) are adopted, the oldest first, as far as their lots still have the credits: that only
  lowers what is available. A hold that is not adopted is lost: its commit finds a receipt and takes the rescue path.
  KEYS  shard · account · lots · holds · due · journal · token
  ARGV  epoch · account id · token · caller ms · receipt ms · sv · number of types · (type · debt)… · (type · available · sort key)…
  Returns
    LOADED      installed now or before; how many holds were adopted
    LOST_TOKEN  a credit arrived, or another load began: begin again
    BAD         an amount is none, or a sum would pass 2^53 - 1; nothing changed
    STALE       not this epoch
]]
-- The debts and lots of ARGV by type, nil if something is wrong with them: {type -> {debt, sum, {sort key, available}…}}
local function snapshot_of(args)
  local types, at = {}, 8 + 2 * whole(args[7])
  local function of(name)
    if not string.find(name, '^[%w_]+$') then return nil end
    types[name] = types[name] or { debt = 0, sum = 0, lots = {} }
    return types[name]
  end
  for i = 8, at - 1, 2 do
    local one, debt = of(args[i]), amount_or_zero(args[i + 1])
    if not one or not debt then return nil end
    one.debt = debt
  end
  for i = at, #args, 3 do
    local one, n, sort_key = of(args[i]), amount_or_zero(args[i + 1]), args[i + 2]
    if not one or not n or not sort_key or #sort_key ~= 25 or one.sum + n > MAX then return nil end
    one.sum = one.sum + n
    if n > 0 then one.lots[#one.lots + 1] = { sort_key = sort_key, available = n } end
  end
  return types
end

local function install_lots(k, a, types)
  for name, found in pairs(types) do
    local c = read_kind(a, name, nil)
    c.dt, c.av = found.debt, found.sum
    local members = {}
    for i, one in ipairs(found.lots) do
      put_lot(a, name, one.sort_key, one.available)
      members[2 * i - 1], members[2 * i] = '0', name .. '|' .. one.sort_key
      a.x = math.min(a.x, expiry(one.sort_key))
    end
    if #found.lots == 1 then
      c.one = found.lots[1].sort_key
      a.set['L' .. lot_of(c.one)] = nil
    else
      for first = 1, #members, 2000 do
        later(a, 'ZADD', k.lots, unpack(members, first, math.min(first + 1999, #members)))
      end
      a.zn = a.zn + #found.lots
    end
  end
end

local function finish_load(keys, args)
  expect(args, 7)
  local k, said, receipt_ms, sv = names(keys), whole(args[4]), whole(args[5]), whole(args[6])
  local s = redis.call('HMGET', k.shard, 'ep', 'vt')
  if not is_served(k.shard, args[1], s[1]) then return { 'STALE' } end
  local v = redis.call('HMGET', k.account, 'm', 'w')
  if open(k, args[1], v[1], v[2]) then return { 'LOADED', '0' } end
  local held = redis.call('GET', k.token)
  if not held or string.match(held, '^(.*)|%d+$') ~= args[3] then return { 'LOST_TOKEN' } end
  local types = snapshot_of(args)
  if not types then return { 'BAD' } end
  local now, sure = clock(s[2], 0, said)
  redis.call('DEL', k.token, k.account, k.lots)
  local a = { load = args[1] .. '.' .. I(redis.call('HINCRBY', k.shard, 'ld', 1)), sv = sv, x = NEVER, due = NEVER,
              now = now, sure = sure, zn = 0, hn = 0, us = 0, kinds = {}, budgets = {}, set = {}, writes = {} }
  install_lots(k, a, types)
  local adopted = adopt_holds(k, a, receipt_ms)
  flush(k, a)
  lapse(k, a)
  return leave(k, a, 'LOADED', I(adopted))
end
