--[[
  The lots of an account. A sort key is 25 characters of base 36: priority 4, expiry in ms 9, 1 if paid, lot 11; its
  order is the burn order. Most types have a single lot: that one is named with the counters and needs no list.
]]
local LARGEST_PAGE = 64

local function expiry(sort_key) return tonumber(string.sub(sort_key, 5, 13), 36) end
local function lot_of(sort_key) return string.sub(sort_key, 15) end

-- What is available of a lot, and its sort key; nil if the type has no such lot.
local function lot(k, a, name, c, id)
  if c.one ~= '' and lot_of(c.one) == id then return c.av, c.one end
  local value = a.set['L' .. id] or redis.call('HGET', k.account, 'L' .. id)
  if not value then return nil end
  local available, sort_key, owner = string.match(value, '^(%d+):(%w+):(.+)$')
  if owner ~= name then return nil end
  return tonumber(available), sort_key
end

local function put_lot(a, name, sort_key, available)
  a.set['L' .. lot_of(sort_key)] = string.format('%d:%s:%s', available, sort_key, name)
end

local function enlist(k, a, name, sort_key)
  later(a, 'ZADD', k.lots, '0', name .. '|' .. sort_key)
  a.zn = a.zn + 1
end

local function delist(k, a, name, sort_key)
  later(a, 'ZREM', k.lots, name .. '|' .. sort_key)
  a.zn = a.zn - 1
end

-- Make `n` more of a lot available, which has `before`.
local function give(k, a, name, c, sort_key, before, n)
  if c.one ~= '' and c.one ~= sort_key then
    put_lot(a, name, c.one, c.av)
    if c.av > 0 then enlist(k, a, name, c.one) end
    c.one = ''
  end
  if c.av == 0 then
    c.one = sort_key
  elseif c.one == '' then
    put_lot(a, name, sort_key, before + n)
    if before == 0 then enlist(k, a, name, sort_key) end
  end
  c.av = c.av + n
  a.x = math.min(a.x, expiry(sort_key))
end

-- Take `n` of the `before` that a lot has available.
local function take(k, a, name, c, sort_key, before, n)
  if c.one ~= sort_key then
    put_lot(a, name, sort_key, before - n)
    if before == n then delist(k, a, name, sort_key) end
  end
  c.av = c.av - n
end

-- Move what has lapsed out of what is available. The ledger learns of it from a command of its own.
local function lapse(k, a)
  if a.x > a.sure then return end
  local cursor = '0'
  repeat
    -- Not all fields: an account may have thousands of members.
    local page = redis.call('HSCAN', k.account, cursor, 'MATCH', 'c:*', 'COUNT', 1000)
    local fields = page[2]
    for i = 1, #fields, 2 do
      local name = string.sub(fields[i], 3)
      if not a.kinds[name] then read_kind(a, name, fields[i + 1]) end
    end
    cursor = page[1]
  until cursor == '0'
  a.x = NEVER
  for name, c in pairs(a.kinds) do
    if c.one ~= '' and expiry(c.one) <= a.sure then
      put_lot(a, name, c.one, c.av)
      c.lp, c.av, c.one = c.lp + c.av, 0, ''
    elseif c.one ~= '' then
      a.x = math.min(a.x, expiry(c.one))
    end
  end
  if a.zn == 0 then return end
  for _, member in ipairs(redis.call('ZRANGE', k.lots, 0, -1)) do
    local name, sort_key = string.match(member, '^([^|]+)|(%w+)$')
    local at = expiry(sort_key)
    if at <= a.sure then
      local c = kind(k, a, name)
      local available = lot(k, a, name, c, lot_of(sort_key))
      c.av, c.lp = c.av - available, c.lp + available
      delist(k, a, name, sort_key)
    else
      a.x = math.min(a.x, at)
    end
  end
end

--[[
  Find `wanted` credits of a type in burn order, and whether there are `spare` more (they cover a debt).
  Returns the takes {sort key, before, part} and how much was found in all. Reads the list of lots, so what was noted
  down about it must be written before; what has lapsed in this call is passed over by its time.
]]
local function find(k, a, name, wanted, spare)
  local c = kind(k, a, name)
  if c.one ~= '' then
    if c.av == 0 or expiry(c.one) <= a.now then return {}, 0 end
    return { { sort_key = c.one, before = c.av, part = math.min(wanted, c.av) } }, c.av
  end
  -- The first lot mostly suffices.
  local takes, found, missing, offset, page = {}, 0, wanted, 0, 1
  while c.av > 0 and found < wanted + spare do
    local members = redis.call('ZRANGEBYLEX', k.lots, '[' .. name .. '|', '(' .. name .. '}', 'LIMIT', offset, page)
    for _, member in ipairs(members) do
      local sort_key = string.sub(member, #name + 2)
      if expiry(sort_key) > a.now then
        local available = lot(k, a, name, c, lot_of(sort_key))
        local part = math.min(missing, available)
        if part > 0 then takes[#takes + 1] = { sort_key = sort_key, before = available, part = part } end
        found, missing = found + available, missing - part
        if found >= wanted + spare then break end
      end
    end
    if #members < page then break end
    offset, page = offset + page, math.min(LARGEST_PAGE, 8 * page)
  end
  return takes, found
end

-- Carry out takes; returns the lots as a hold and the journal name them: <lot>:<part>+…
local function take_all(k, a, name, c, takes)
  local parts = {}
  for i, one in ipairs(takes) do
    take(k, a, name, c, one.sort_key, one.before, one.part)
    parts[i] = lot_of(one.sort_key) .. ':' .. I(one.part)
  end
  return table.concat(parts, '+')
end

-- Give credits back to their lots: available again, or lapsed if the lot's instant has passed.
local function give_back(k, a, name, lots)
  local c = kind(k, a, name)
  for id, part in string.gmatch(lots, '(%w+):(%d+)') do
    local available, sort_key = lot(k, a, name, c, id)
    local n = tonumber(part)
    if not available then
      a.is_broken = true
    elseif expiry(sort_key) <= a.sure then
      put_lot(a, name, sort_key, available + n)
      c.lp = c.lp + n
    else
      give(k, a, name, c, sort_key, available, n)
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

-- What can be reserved of a type at this instant.
local function reservable(k, a, name)
  local c = kind(k, a, name)
  if a.x > a.now then return math.max(0, c.av - c.dt) end
  -- The clocks differ: something has lapsed by the server's that may not be moved yet by the caller's.
  local _, found = find(k, a, name, MAX, 0)
  return math.max(0, found - c.dt)
end
