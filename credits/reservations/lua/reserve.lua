--[[
  Hold credits of one or more types until they are committed, released, or the hold's deadline passes: all or none.
  KEYS  shard · account · lots · holds · due
  ARGV  epoch · caller ms · hold · fingerprint · ttl ms · receipt ms · name · (type · amount)…
  Returns
    HELD          deadline ms
    REPLAYED      state of the hold made before with the same content · its deadline ms
    CONFLICT      the hold was made before with other content; nothing changed
    INSUFFICIENT  (type · needed · available) of each type that is short; nothing is held
    BAD           an amount is none; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
-- What to take for each item; and (type, needed, available) of those that are short.
local function plan_holds(k, a, items)
  local short = {}
  for _, item in ipairs(items) do
    local c = kind(k, a, item.name)
    local found
    item.takes, found = find(k, a, item.name, item.amount, c.dt)
    if found - c.dt < item.amount then
      local n = #short
      short[n + 1], short[n + 2], short[n + 3] = item.name, I(item.amount), I(math.max(0, found - c.dt))
    end
  end
  return short
end

local function reserve(keys, args)
  local k = names(keys)
  local items = items_of(args, 8, amount)
  if not items or #items == 0 then return { 'BAD' } end
  local a, refusal = enter(k, args[1], args[2])
  if not a then return refusal end
  local receipt_ms = tonumber(args[6])
  local known = redis.call('HGET', k.holds, args[3])
  if known then
    local r = unpack_record(known)
    -- A record without a fingerprint was made by a commit whose hold a Redis had lost.
    if r.fp ~= '' and r.fp ~= args[4] then return leave(k, a, 'CONFLICT') end
    return leave(k, a, 'REPLAYED', r.state, I(r.due))
  end
  local all_reclaimed = reclaim(k, a, RECLAIM, receipt_ms)
  local short = plan_holds(k, a, items)
  if #short > 0 and not all_reclaimed then
    -- Credits may be free behind overdue holds: nobody is refused before all of those are looked at.
    reclaim(k, a, nil, receipt_ms)
    short = plan_holds(k, a, items)
  end
  if #short > 0 then
    return leave(k, a, 'INSUFFICIENT', unpack(short))
  end
  local r = { state = 'H', due = a.now + tonumber(args[5]), made = a.now, load = a.load, fp = args[4], steps = '', name = args[7],
              items = {}, order = {} }
  for i, item in ipairs(items) do
    local c = kind(k, a, item.name)
    c.av, c.hd = c.av - item.amount, c.hd + item.amount
    r.order[i] = item.name
    r.items[item.name] = { left = item.amount, lots = take(k, a, item.name, item.takes) }
  end
  put_record(k, a, args[3], r, true)
  return leave(k, a, 'HELD', I(r.due))
end
