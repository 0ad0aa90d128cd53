--[[
  What every verb stands on: amounts, time, an account read once and written once. Joined in front of the verbs, with
  the other files whose names begin with an underline, into one Functions library.

  Keys (all of one shard carry its hash tag; credits/reservations/keys.py spells them):
    shard    hash    ep  epoch · vt  1 if callers bring a virtual clock · ld  loads of this epoch so far
                     n  journal entries · u<account>  of those, the account's · ho  see handover.lua
    journal  stream  what the gate took and SQL has not booked yet
    account  hash    m         <load>|<sv>|<next expiry>                load: <epoch>.<number>; sv: last credit applied
                     w         <time>|<next due>|<zn>|<hn>|<unsettled>  last time seen, sizes of lots and of holds
                     c:<type>  <available>:<held>:<unsettled>:<debt>:<lapsed>:<sort key of the type's only lot>
                     L<lot>    <available>:<sort key>:<type>            of every lot that is not its type's only one (of that: none, or stale)
                     b:<member>  what it may use and has used, see _members.lua
    lots     zset    <type>|<sort key> of every lot that has something available and is not its type's only one
    holds    hash    <hold>  record (see _holds.lua) of each open hold and each receipt
    due      zset    <hold> by the time its record is due: an open hold to be freed, a receipt to be forgotten
    token    string  <token>|<ms>  who is loading the account, since when

  While a script runs it only reads, and notes down what it will write (later, a.set, the counters): an error on the
  way leaves everything as it was. `flush` writes it all.
]]
local MAX = 9007199254740991    -- 2^53 - 1: doubles count whole numbers up to here
local SKEW_MS = 60000           -- server and caller may differ by this much before the destructive half of time stops
local NEVER = 101559956668415   -- zzzzzzzzz in base 36

-- Volatile on purpose: empty after a restart, a promotion or a full resync, so that a Redis that may have lost its
-- memory answers STALE before it can do harm.
local armed = {}

-- The only way for a number to leave Lua: tostring and .. break from 10^14 on.
local function I(n) return string.format('%d', n) end

-- tonumber takes 'nan', 'inf' and '0x10' too, and no comparison refuses the first.
local function amount(text)
  if not text or #text > 16 or not string.find(text, '^[1-9]%d*$') then return nil end
  local n = tonumber(text)
  if n > MAX then return nil end
  return n
end

local function amount_or_zero(text) if text == '0' then return 0 end return amount(text) end

-- A number that our own library sends; anything else is a fault of ours, and nothing is done.
local function whole(text)
  if not text or #text > 16 or not string.find(text, '^%d+$') then error('a whole number was expected') end
  return tonumber(text)
end

-- The server's clock as it was last seen; and until when it turned out to have been wrong: one that is set back had
-- been ahead. Volatile, too.
local seen_ms, wrong_ms = 0, 0

local function watch(now)
  if now < seen_ms - SKEW_MS then wrong_ms = seen_ms end
  seen_ms = now
end

--[[
  now: for refusing what has lapsed. sure: for freeing and lapsing; never beyond the caller's clock plus a minute, so
  that a server clock that jumps forward ends nothing early. What was seen before is never undercut.
]]
local function clock(virtual, last, said)
  local now, sure = said, said
  if virtual ~= '1' then
    local t = redis.call('TIME')
    now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
    watch(now)
    sure = math.min(now, said + SKEW_MS)
  end
  return math.max(now, last), math.max(sure, last)
end

local pack_budget   -- see _members.lua

local function is_served(shard, epoch, current) return current == epoch and armed[shard] == epoch end

local function instant(text) return text == '0' and NEVER or tonumber(text) end

-- An account from its fields m and w; nil if it is not loaded in this epoch, or if a key of it has vanished.
local function open(k, epoch, m, w)
  if not m or not w then return nil end
  local load, of_epoch, sv, x = string.match(m, '^((%d+)%.%d+)|(%d+)|(%d+)$')
  if of_epoch ~= epoch then return nil end
  local last, rest, due, zn, hn, us = string.match(w, '^(%d+)|((%d+)|(%d+)|(%d+)|(%d+))$')
  local a = { m = m, rest = rest, load = load, sv = tonumber(sv), x = instant(x), last = tonumber(last), due = instant(due),
              zn = tonumber(zn), hn = tonumber(hn), us = tonumber(us), kinds = {}, budgets = {}, set = {}, writes = {} }
  if (a.zn > 0 and redis.call('ZCARD', k.lots) ~= a.zn)
     or (a.hn > 0 and (redis.call('HLEN', k.holds) ~= a.hn or redis.call('ZCARD', k.due) ~= a.hn)) then
    redis.call('HDEL', k.account, 'm')
    return nil
  end
  return a
end

-- The counters of one credit type: available, held, unsettled, debt, lapsed, and the sort key of its only lot or ''.
local function read_kind(a, name, text)
  local c = { text = '0:0:0:0:0:', av = 0, hd = 0, us = 0, dt = 0, lp = 0, one = '' }
  if text then
    local av, hd, us, dt, lp, one = string.match(text, '^(%d+):(%d+):(%d+):(%d+):(%d+):(%w*)$')
    c = { text = text, av = tonumber(av), hd = tonumber(hd), us = tonumber(us), dt = tonumber(dt), lp = tonumber(lp), one = one }
  end
  a.kinds[name] = c
  return c
end

local function kind(k, a, name)
  return a.kinds[name] or read_kind(a, name, redis.call('HGET', k.account, 'c:' .. name))
end

local function later(a, ...) a.writes[#a.writes + 1] = { ... } end

-- Write what was noted down since the last time; nothing here can fail.
local function flush(k, a)
  local fields = {}
  for name, c in pairs(a.kinds) do
    -- Whatever does not add up here adds up after a load.
    if math.min(c.av, c.hd, c.us, c.dt, c.lp) < 0 then a.is_broken = true end
    local text = string.format('%d:%d:%d:%d:%d:%s', c.av, c.hd, c.us, c.dt, c.lp, c.one)
    if text ~= c.text then fields[#fields + 1], fields[#fields + 2], c.text = 'c:' .. name, text, text end
  end
  for member, b in pairs(a.budgets) do
    local text = pack_budget(a, b)
    if text ~= b.text then fields[#fields + 1], fields[#fields + 2], b.text = 'b:' .. member, text, text end
  end
  for field, value in pairs(a.set) do fields[#fields + 1], fields[#fields + 2] = field, value end
  local m = string.format('%s|%d|%d', a.load, a.sv, a.x == NEVER and 0 or a.x)
  if m ~= a.m then fields[#fields + 1], fields[#fields + 2], a.m = 'm', m, m end
  local rest = string.format('%d|%d|%d|%d', a.due == NEVER and 0 or a.due, a.zn, a.hn, a.us)
  if rest ~= a.rest or #fields > 0 or #a.writes > 0 then
    fields[#fields + 1], fields[#fields + 2], a.rest = 'w', I(a.sure) .. '|' .. rest, rest
  end
  for _, write in ipairs(a.writes) do redis.call(unpack(write)) end
  for first = 1, #fields, 4000 do
    redis.call('HSET', k.account, unpack(fields, first, math.min(first + 3999, #fields)))
  end
  if a.is_broken then redis.call('HDEL', k.account, 'm') end
  a.set, a.writes = {}, {}
end
