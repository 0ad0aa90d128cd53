--[[
  What the verbs share. Joined in front of them into one Functions library.

  Keys (all of one shard carry its hash tag; credits/reservations/keys.py spells them):
    shard    hash    ep  epoch · vt  1 if callers bring a virtual clock · n  journal entries · u<account>  of those, the account's
    journal  stream  what the gate took and SQL has not booked yet
    account  hash    ep, ld  epoch and token of its load · sv  last credit applied · x  next expiry · t  last time seen
                     zn, hn  sizes of lots and holds · av:, hd:, us:, dt:, lp:<type>  available, held, unsettled, debt, lapsed
                     L<lot>  <available>:<sort key> of each lot
    lots     zset    <type>|<sort key> of every lot that has something available, in burn order
    holds    hash    <hold>  record (see pack) of each open hold and each receipt
    due      zset    <hold> by the time its record is due: an open hold to be freed, a receipt to be forgotten
    token    string  who is loading the account

  A sort key is 25 characters of base 36: priority 4, expiry in ms 9, 1 if paid, lot 11. Amounts are whole numbers of
  credits up to 2^53 - 1; they leave Lua through I(), because tostring and .. break from 10^14 on.
]]
local MAX = 9007199254740991
local SKEW_MS = 60000        -- server and caller may differ by this much before the destructive half of time stops
local NEVER = 'zzzzzzzzz'
local RECLAIM = 16           -- overdue records handled per call, unless credits are short: then all of them
local MAX_STEPS = 256

-- Volatile on purpose: empty after a restart, a promotion or a full resync, so that a Redis that may have lost its
-- memory answers STALE before it can do harm.
local armed = {}

local function I(n) return string.format('%d', n) end

local function amount(text)
  if not text or #text > 16 or not string.match(text, '^[1-9]%d*$') then return nil end
  local n = tonumber(text)
  if n > MAX then return nil end
  return n
end

local function amount_or_zero(text) if text == '0' then return 0 end return amount(text) end

--[[
  now: for refusing what has lapsed. sure: for freeing and lapsing; never beyond the caller's clock plus a minute, so
  that a server clock that jumps forward ends nothing early. What was seen before is never undercut.
]]
local function clock(virtual, last, caller)
  local said = tonumber(caller)
  if virtual == '1' then return said, said end
  local t = redis.call('TIME')
  local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
  local sure = math.min(now, said + SKEW_MS)
  if last > sure then sure = last end
  if last > now then now = last end
  return now, sure
end

-- The account's own fields; nil if it is not loaded in this epoch, or if a key of it has vanished.
local function open(k, epoch)
  local v = redis.call('HMGET', k.account, 'ep', 'ld', 'sv', 'x', 't', 'zn', 'hn')
  if v[1] ~= epoch then return nil end
  local a = { load = v[2], sv = tonumber(v[3]), x = v[4], last = tonumber(v[5]), zn = tonumber(v[6]), hn = tonumber(v[7]),
              kinds = {}, set = {} }
  if redis.call('ZCARD', k.lots) ~= a.zn or redis.call('HLEN', k.holds) ~= a.hn
     or redis.call('ZCARD', k.due) ~= a.hn then
    redis.call('HDEL', k.account, 'ep')
    return nil
  end
  return a
end

-- The counters of one credit type.
local function kind(k, a, name)
  local c = a.kinds[name]
  if not c then
    local v = redis.call('HMGET', k.account, 'av:' .. name, 'hd:' .. name, 'us:' .. name, 'dt:' .. name, 'lp:' .. name)
    c = { av = tonumber(v[1] or '0'), hd = tonumber(v[2] or '0'), us = tonumber(v[3] or '0'),
          dt = tonumber(v[4] or '0'), lp = tonumber(v[5] or '0') }
    a.kinds[name] = c
  end
  return c
end

local function touch(a, field, value)
  a.set[field] = value
  a.is_dirty = true
end

-- One write for everything that changed about the account.
local function save(k, a)
  local fields = { 'zn', I(a.zn), 'hn', I(a.hn), 'x', a.x, 't', I(a.last) }
  for name, c in pairs(a.kinds) do
    local n = #fields
    fields[n + 1], fields[n + 2] = 'av:' .. name, I(c.av)
    fields[n + 3], fields[n + 4] = 'hd:' .. name, I(c.hd)
    fields[n + 5], fields[n + 6] = 'us:' .. name, I(c.us)
    fields[n + 7], fields[n + 8] = 'dt:' .. name, I(c.dt)
    fields[n + 9], fields[n + 10] = 'lp:' .. name, I(c.lp)
  end
  for field, value in pairs(a.set) do
    local n = #fields
    fields[n + 1], fields[n + 2] = field, value
  end
  for first = 1, #fields, 4000 do
    redis.call('HSET', k.account, unpack(fields, first, math.min(first + 3999, #fields)))
  end
end

-- ── lots ─────────────────────────────────────────────────────────────────────────────────────────────────

local function expiry(sort_key) return string.sub(sort_key, 5, 13) end
local function lot_of(sort_key) return string.sub(sort_key, 15) end
local function is_past(text, now) return text ~= NEVER and tonumber(text, 36) <= now end

local function lot(k, a, id)
  local value = a.set['L' .. id] or redis.call('HGET', k.account, 'L' .. id)
  if not value then return nil end
  local available, sort_key = string.match(value, '^(%d+):(%w+)$')
  return tonumber(available), sort_key
end

local function put_lot(k, a, name, id, before, after, sort_key)
  touch(a, 'L' .. id, I(after) .. ':' .. sort_key)
  if before == 0 and after > 0 then
    redis.call('ZADD', k.lots, 0, name .. '|' .. sort_key)
    a.zn = a.zn + 1
    if expiry(sort_key) < a.x then a.x = expiry(sort_key) end
  elseif before > 0 and after == 0 then
    redis.call('ZREM', k.lots, name .. '|' .. sort_key)
    a.zn = a.zn - 1
  end
end

-- Move what has lapsed out of what is available. The ledger learns of it from a command of its own.
local function lapse(k, a, sure)
  if not is_past(a.x, sure) then return end
  local nearest = NEVER
  for _, member in ipairs(redis.call('ZRANGE', k.lots, 0, -1)) do
    local name, sort_key = string.match(member, '^([^|]+)|(%w+)$')
    if is_past(expiry(sort_key), sure) then
      local available = lot(k, a, lot_of(sort_key))
      local c = kind(k, a, name)
      c.av, c.lp = c.av - available, c.lp + available
      redis.call('ZREM', k.lots, member)
      a.zn, a.is_dirty = a.zn - 1, true
    elseif expiry(sort_key) < nearest then
      nearest = expiry(sort_key)
    end
  end
  a.x, a.is_dirty = nearest, true
end

-- Every call that works on an account begins here. Answers the account at this instant, or nil and the refusal.
local function enter(k, epoch, caller)
  local m = redis.call('HMGET', k.shard, 'ep', 'vt')
  if m[1] ~= epoch or armed[k.shard] ~= epoch then return nil, { 'STALE' } end
  local a = open(k, epoch)
  if not a then return nil, { 'COLD' } end
  a.epoch = epoch
  a.now, a.sure = clock(m[2], a.last, caller)
  a.last = a.sure
  lapse(k, a, a.sure)
  return a
end

-- And ends here: what changed is written, and the answer given.
local function leave(k, a, ...)
  if a.is_dirty then save(k, a) end
  return { ... }
end

--[[
  Find `wanted` credits of a type in burn order, leaving `spare` more behind (they cover a debt).
  Returns the takes {lot, before, taken, sort key} and how much was found in all; writes nothing.
]]
local function find(k, a, name, wanted, spare)
  local takes, found, missing, offset = {}, 0, wanted, 0
  while found < wanted + spare do
    local members = redis.call('ZRANGEBYLEX', k.lots, '[' .. name .. '|', '(' .. name .. '}', 'LIMIT', offset, 8)
    for _, member in ipairs(members) do
      local sort_key = string.sub(member, #name + 2)
      if not is_past(expiry(sort_key), a.now) then
        local id = lot_of(sort_key)
        local available = lot(k, a, id)
        found = found + available
        if missing > 0 then
          local part = math.min(missing, available)
          takes[#takes + 1] = { id = id, before = available, part = part, sort_key = sort_key }
          missing = missing - part
        end
        if found >= wanted + spare then break end
      end
    end
    if #members < 8 then break end
    offset = offset + 8
  end
  return takes, found
end

-- Carry out takes: lower the lots; returns them as a hold and the journal name them.
local function take(k, a, name, takes)
  local parts = {}
  for i, one in ipairs(takes) do
    put_lot(k, a, name, one.id, one.before, one.before - one.part, one.sort_key)
    parts[i] = one.id .. ':' .. I(one.part)
  end
  return table.concat(parts, '+')
end

-- Give credits back to their lots: available again, or lapsed if the lot's instant has passed.
local function give_back(k, a, name, lots)
  local c = kind(k, a, name)
  for id, part in string.gmatch(lots, '(%w+):(%d+)') do
    local available, sort_key = lot(k, a, id)
    local n = tonumber(part)
    if is_past(expiry(sort_key), a.sure) then
      touch(a, 'L' .. id, I(available + n) .. ':' .. sort_key)
      c.lp = c.lp + n
    else
      put_lot(k, a, name, id, available, available + n, sort_key)
      c.av = c.av + n
    end
  end
end

-- Split `n` off the front of a list of lots: returns the part and the rest.
local function split(lots, n)
  local head, rest = {}, {}
  for id, part in string.gmatch(lots, '(%w+):(%d+)') do
    local have = tonumber(part)
    local used = math.min(have, n)
    n = n - used
    if used > 0 then head[#head + 1] = id .. ':' .. I(used) end
    if have > used then rest[#rest + 1] = id .. ':' .. I(have - used) end
  end
  return table.concat(head, '+'), table.concat(rest, '+')
end

-- ── hold records ─────────────────────────────────────────────────────────────────────────────────────────

--[[
  <state>|<due ms>|<made ms>|<load>|<fingerprint>|<items>|<steps>|<name as the caller knows it>
    state  H held · C committed · R released · X expired · S spent in one step or by a command
    items  <type>=<left>,<lots>;…      steps  <op>=<fingerprint>;…
]]
local function unpack_record(text)
  local state, due, made, load, fp, items, steps, name =
    string.match(text, '^(%u)|(%d+)|(%d+)|([^|]*)|(%x*)|([^|]*)|([^|]*)|(.*)$')
  local r = { state = state, due = tonumber(due), made = tonumber(made), load = load, fp = fp, steps = steps, name = name,
              items = {}, order = {} }
  for item, left, lots in string.gmatch(items, '([%w_]+)=(%d+),([^;]*)') do
    r.order[#r.order + 1] = item
    r.items[item] = { left = tonumber(left), lots = lots }
  end
  return r
end

local function pack_record(r)
  local items = {}
  for i, name in ipairs(r.order) do items[i] = name .. '=' .. I(r.items[name].left) .. ',' .. r.items[name].lots end
  return table.concat({ r.state, I(r.due), I(r.made), r.load, r.fp, table.concat(items, ';'), r.steps, r.name }, '|')
end

local function put_record(k, a, hold, r, is_new)
  a.is_dirty = true
  redis.call('HSET', k.holds, hold, pack_record(r))
  redis.call('ZADD', k.due, I(r.due), hold)
  if is_new then a.hn = a.hn + 1 end
end

local function step_fingerprint(r, op)
  for name, fp in string.gmatch(r.steps, '([^=;]+)=(%x*)') do
    if name == op then return fp end
  end
end

local function count_steps(r)
  local _, n = string.gsub(r.steps, '=', '')
  return n
end

-- Give everything a hold still has back to its lots.
local function empty_hold(k, a, r)
  for _, name in ipairs(r.order) do
    local item = r.items[name]
    if item.left > 0 then
      local c = kind(k, a, name)
      c.hd = c.hd - item.left
      give_back(k, a, name, item.lots)
      item.left, item.lots = 0, ''
    end
  end
end

--[[
  Free overdue holds and forget overdue receipts, the longest due first; `limit` nil: all of them.
  A hold that is freed leaves a receipt, so that its late commit is told from an unknown one.
]]
local function reclaim(k, a, limit, receipt_ms)
  local handled = 0
  while not limit or handled < limit do
    local batch = redis.call('ZRANGEBYSCORE', k.due, '-inf', I(a.sure), 'LIMIT', 0, 16)
    for _, hold in ipairs(batch) do
      local text = redis.call('HGET', k.holds, hold)
      local r = text and unpack_record(text)
      if r and r.state == 'H' then
        if r.load == a.load then empty_hold(k, a, r) end
        r.state, r.due = 'X', a.sure + receipt_ms
        put_record(k, a, hold, r, false)
      else
        redis.call('HDEL', k.holds, hold)
        redis.call('ZREM', k.due, hold)
        a.hn, a.is_dirty = a.hn - 1, true
      end
      handled = handled + 1
    end
    if #batch < 16 then return true end
  end
  return false
end

-- ── journal ──────────────────────────────────────────────────────────────────────────────────────────────

-- items: list of {type, amount, debt, lots}
local function journal(k, a, account_id, op, why, fp, name, items)
  local parts = {}
  for i, item in ipairs(items) do
    parts[i] = item.name .. '=' .. I(item.amount) .. ',' .. I(item.debt) .. ',' .. item.lots
  end
  redis.call('XADD', k.journal, '*', 'op', op, 'a', account_id, 'k', why, 'fp', fp, 'i', table.concat(parts, ';'), 'r', name,
             'e', a.epoch)
  redis.call('HINCRBY', k.shard, 'n', 1)
  redis.call('HINCRBY', k.shard, 'u' .. account_id, 1)
end

local function names(keys)
  return { shard = keys[1], account = keys[2], lots = keys[3], holds = keys[4], due = keys[5], journal = keys[6],
           token = keys[7] }
end

-- ARGV from `first` on as {type, n} pairs in order; nil if one is no amount or stands twice.
local function items_of(args, first, read)
  local items, seen = {}, {}
  for i = first, #args, 2 do
    local n = read(args[i + 1])
    if not n or seen[args[i]] then return nil end
    seen[args[i]] = true
    items[#items + 1] = { name = args[i], amount = n }
  end
  return items
end

local function available(c) return math.max(0, c.av - c.dt) end
