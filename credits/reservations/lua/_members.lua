--[[
  What members of an account may use of its credits. One field of the account's hash each, b:<member>:
    <version>|<days>|<months>|<items>
      version  of the limits that are known; empty: only what its holds have is known, and load_member must come first
      days     when the running day began, and when the next ones begin: <ms>,<ms>…   months  likewise
      items    <type>=<held>,<day>,<month>,<ever>,<limits>;…   held now; committed this day, this month, in all
      limits   d<amount> of a day, m<amount> of a month, e<amount> for ever, joined by +; ~<amount>~<until ms> if raised
  The field goes with its account's load. From the first call for a member on, its record misses nothing: before that
  call load_member brings what the ledger had, and nothing of the account's journal is older than the load.
]]
local WINDOWS = { d = 'day', m = 'month', e = 'ever' }

-- A member as our own library spells one; anything else is a fault of ours, and nothing is done.
local function check_member(member)
  if member ~= '' and not string.find(member, '^[%w_.~%%-]+$') then error('a member is malformed') end
end

local function numbers(text)
  local list = {}
  for word in string.gmatch(text, '%d+') do list[#list + 1] = tonumber(word) end
  return list
end

local function joined(list)
  local words = {}
  for i, n in ipairs(list) do words[i] = I(n) end
  return table.concat(words, ',')
end

-- What a member has of one type.
local function share(b, name)
  local item = b.items[name]
  if not item then
    item = { hd = 0, d = 0, m = 0, e = 0, limits = '' }
    b.order[#b.order + 1], b.items[name] = name, item
  end
  return item
end

function pack_budget(a, b)
  local parts = {}
  for i, name in ipairs(b.order) do
    local item = b.items[name]
    -- Whatever does not add up here adds up after a load.
    if math.min(item.hd, item.d, item.m, item.e) < 0 then a.is_broken = true end
    parts[i] = string.format('%s=%d,%d,%d,%d,%s', name, item.hd, item.d, item.m, item.e, item.limits)
  end
  return string.format('%s|%s|%s|%s', b.version, joined(b.days), joined(b.months), table.concat(parts, ';'))
end

-- Begin the windows that have begun. What is held counts in the running one; what was committed, in its own.
local function roll(b, at)
  while #b.days > 1 and b.days[2] <= at do
    table.remove(b.days, 1)
    for _, item in pairs(b.items) do item.d = 0 end
  end
  while #b.months > 1 and b.months[2] <= at do
    table.remove(b.months, 1)
    for _, item in pairs(b.items) do item.m = 0 end
  end
end

local function read_budget(a, member, text)
  local b = { text = text or '|||', version = '', days = {}, months = {}, items = {}, order = {} }
  a.budgets[member] = b
  local version, days, months, items = string.match(b.text, '^(%d*)|([%d,]*)|([%d,]*)|(.*)$')
  if not version then
    a.is_broken = true
    return b
  end
  b.version, b.days, b.months = version, numbers(days), numbers(months)
  for name, hd, d, m, e, limits in string.gmatch(items, '([%w_]+)=(%d+),(%d+),(%d+),(%d+),([^;]*)') do
    local item = share(b, name)
    item.hd, item.d, item.m, item.e, item.limits = tonumber(hd), tonumber(d), tonumber(m), tonumber(e), limits
  end
  roll(b, a.sure)
  return b
end

local function budget(k, a, member)
  return a.budgets[member] or read_budget(a, member, redis.call('HGET', k.account, 'b:' .. member))
end

-- Whether a call for this member may go on: its limits are known, and so is the calendar.
local function is_known(k, a, member)
  if member == '' then return true end
  local b = budget(k, a, member)
  return #b.days > 1 and #b.months > 1
end

local function limit_now(a, amount, raise)
  local raised, until_ms = string.match(raise, '^~(%d+)~(%d+)$')
  return raised and a.now < tonumber(until_ms) and tonumber(raised) or tonumber(amount)
end

--[[
  (type, window, limit, used, asked for, end of the window or 0) of each limit that `items` would pass. What comes from
  hold `r` (nil: without one) is used already.
]]
local function excess(k, a, member, items, r)
  local over = {}
  if member == '' then return over end
  local b = budget(k, a, member)
  local ends = { d = b.days[2], m = b.months[2], e = 0 }
  for _, one in ipairs(items) do
    local item, held = b.items[one.name], r and r.items[one.name] and r.items[one.name].left or 0
    local more = one.amount - math.min(one.amount, held)
    if item and more > 0 then
      for window, amount, raise in string.gmatch(item.limits, '(%l)(%d+)([~%d]*)') do
        local limit, used = limit_now(a, amount, raise), math.min(MAX, item.hd + item[window])
        if more > limit - used then
          for _, word in ipairs({ one.name, WINDOWS[window], I(limit), I(used), I(more), I(ends[window]) }) do
            over[#over + 1] = word
          end
        end
      end
    end
  end
  return over
end

-- A hold of a member takes `n` more of a type; a negative number gives back.
local function hold_for(k, a, member, name, n)
  if member == '' then return end
  local item = share(budget(k, a, member), name)
  item.hd = item.hd + n
end

-- A member has spent `n`, of which its hold had `from_hold`.
local function spend_for(k, a, member, name, n, from_hold)
  if member == '' then return end
  local item = share(budget(k, a, member), name)
  item.hd = item.hd - from_hold
  -- No limit is above MAX: a sum that got there is above every one.
  item.d, item.m, item.e = math.min(MAX, item.d + n), math.min(MAX, item.m + n), math.min(MAX, item.e + n)
end

-- In which windows what a member spends now is counted: never in one that was over when the ledger saw it.
local function spent_at(k, a, member)
  local b = budget(k, a, member)
  return math.max(a.sure, b.days[1], b.months[1])
end

-- What a member spent at an instant was booked before: it counts once.
local function unspend_for(k, a, member, name, n, at)
  local b = budget(k, a, member)
  local item = share(b, name)
  if at >= (b.days[1] or NEVER) then item.d = item.d - n end
  if at >= (b.months[1] or NEVER) then item.m = item.m - n end
  item.e = item.e - n
end
