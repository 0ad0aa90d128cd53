--[[
  Tell an account's member's limits and calendar; and what it has used, if nothing of it is known in this load yet. That
  is what the ledger had after this load began: until now no call of this load was for the member.
  KEYS  shard · account · lots · holds · due
  ARGV  epoch · caller ms · member · load · version · number of days · (ms)… · number of months · (ms)…
        · (type · used this day · this month · in all · limits)…
  Returns
    LOADED    the limits of this version are known, or later ones were
    RELOADED  the account was loaded anew since; nothing changed: begin again
    BAD       an amount or a limit is none; nothing changed
    COLD      not loaded
    STALE     not this epoch
]]
local MOST_WINDOWS = 64

-- A list of instants of ARGV that rise, from its count at `at` on; and where the words go on.
local function calendar_of(args, at)
  local list, count = {}, whole(args[at])
  if count < 2 or count > MOST_WINDOWS then error('a calendar is malformed') end
  for i = at + 1, at + count do
    list[#list + 1] = whole(args[i])
    if #list > 1 and list[#list] <= list[#list - 1] then error('a calendar does not rise') end
  end
  return list, at + count + 1
end

local function is_limits(text)
  if not text then return false end
  for part in string.gmatch(text, '[^+]+') do
    local number, raise = string.match(part, '^[dme](%d+)(.*)$')
    local raised, until_ms = string.match(raise or '', '^~(%d+)~(%d+)$')
    if not number or not amount_or_zero(number) then return false end
    if raise ~= '' and (not amount_or_zero(raised) or not amount_or_zero(until_ms)) then return false end
  end
  return true
end

-- What ARGV says of each type, nil if something is wrong with it.
local function shares_of(args, at)
  local shares = {}
  for i = at, #args, 5 do
    local one = { name = args[i], d = amount_or_zero(args[i + 1]), m = amount_or_zero(args[i + 2]),
                  e = amount_or_zero(args[i + 3]), limits = args[i + 4] }
    if not string.find(one.name, '^[%w_]+$') or not one.d or not one.m or not one.e or not is_limits(one.limits) then
      return nil
    end
    shares[#shares + 1] = one
  end
  return shares
end

-- A calendar that goes on where the one that is known ends, or is the same with more of it.
local function continued(known, said)
  if #known == 0 or said[1] == known[1] or (#known == 1 and said[1] > known[1]) then return said end
  return known
end

local function load_member(keys, args)
  expect(args, 10)
  local k, said, member, version = names(keys), whole(args[2]), args[3], whole(args[5])
  check_member(member)
  local days, next_word = calendar_of(args, 6)
  local months, first = calendar_of(args, next_word)
  local shares = shares_of(args, first)
  if not shares or member == '' then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, nil, nil, member)
  if not a then return refusal end
  if args[4] ~= a.load then return leave(k, a, 'RELOADED') end
  local b = budget(k, a, member)
  local is_first = b.version == ''
  if is_first or version >= tonumber(b.version) then
    for _, item in pairs(b.items) do item.limits = '' end
    for _, one in ipairs(shares) do
      local item = share(b, one.name)
      item.limits = one.limits
      if is_first then item.d, item.m, item.e = one.d, one.m, one.e end
    end
    b.version = I(version)
  end
  b.days, b.months = continued(b.days, days), continued(b.months, months)
  roll(b, a.sure)
  return leave(k, a, 'LOADED')
end
