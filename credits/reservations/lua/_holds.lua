--[[
  Records of holds, open and ended:  <state>|<due>|<made ms>|<load>|<fingerprint>|<items>|<steps>|<name>
  Whose a member's is stands in front of the name, between two marks that no name begins with: \30<member>\30<name>
    state  H held · C committed · R released · X its time ran out, or a Redis lost it · S spent without a hold
    due    <ms>, or <due ms>~<by ms>~<set ms> of an open hold whose deadline is not certain (see _deadlines.lua)
    items  <type>=<left>,<lots>;…   X: what it had when it ended, without lots · S by take_lots: <type>=<taken>,debt:<debt>
    steps  <op>=<fingerprint>;…     name  as the caller knows it
]]
local RECLAIM = 16   -- overdue records handled per call, unless credits are short: then all of them
local BATCH = 256

-- nil if it cannot be read.
local function unpack_record(text)
  local state, due, more, made, load, fp, items, steps, name =
    string.match(text, '^(%u)|(%d+)([~%d]*)|(%d+)|([^|]*)|(%x*)|([^|]*)|([^|]*)|(.*)$')
  if not state then return nil end
  local by, set = string.match(more, '^~(%d+)~(%d+)$')
  local member, own_name = string.match(name, '^\30([^\30]+)\30(.*)$')
  local r = { state = state, due = tonumber(due), by = tonumber(by), set = tonumber(set), made = tonumber(made), load = load,
              fp = fp, steps = steps, member = member or '', name = own_name or name, items = {}, order = {} }
  for item, left, lots in string.gmatch(items, '([%w_]+)=(%d+),([^;]*)') do
    r.order[#r.order + 1] = item
    r.items[item] = { left = tonumber(left), lots = lots }
  end
  return r
end

-- A hold's record; nil if there is none.
local function record(k, hold)
  local text = redis.call('HGET', k.holds, hold)
  if not text then return nil end
  return unpack_record(text) or error('a record that cannot be read')
end

local function put_record(k, a, hold, r, is_new)
  local items = ''
  for i, name in ipairs(r.order) do
    local item = r.items[name]
    items = string.format('%s%s%s=%d,%s', items, i > 1 and ';' or '', name, item.left, item.lots)
  end
  local more = r.state == 'H' and r.by and string.format('~%d~%d', r.by, r.set) or ''
  local name = r.member == '' and r.name or '\30' .. r.member .. '\30' .. r.name
  later(a, 'HSET', k.holds, hold,
        string.format('%s|%d%s|%d|%s|%s|%s|%s|%s', r.state, r.due, more, r.made, r.load, r.fp, items, r.steps, name))
  later(a, 'ZADD', k.due, I(r.due), hold)
  a.due = math.min(a.due, r.due)
  if is_new then a.hn = a.hn + 1 end
end

-- An op and a fingerprint go into records, where some characters have a meaning.
local function check_step(op, fp)
  if not string.find(op, '^[^=;|]+$') or not string.find(fp, '^%x+$') then error('an op or a fingerprint is malformed') end
end

local function step_fingerprint(r, op)
  if r.steps == '' then return nil end
  for name, fp in string.gmatch(r.steps, '([^=;]+)=(%x*)') do
    if name == op then return fp end
  end
end

local function count_steps(r)
  if r.steps == '' then return 0 end
  local _, n = string.gsub(r.steps, '=', '')
  return n
end

local function is_open(a, r) return r ~= nil and r.state == 'H' and r.load == a.load end

-- Give everything a hold still has back to its lots. It remembers how much that was if its job may still come for it.
local function empty_hold(k, a, r, is_remembered)
  for _, name in ipairs(r.order) do
    local item = r.items[name]
    if item.left > 0 then
      local c = kind(k, a, name)
      c.hd = c.hd - item.left
      hold_for(k, a, r.member, name, -item.left)
      give_back(k, a, name, item.lots)
    end
    item.left, item.lots = is_remembered and item.left or 0, ''
  end
end

local function forget_record(k, a, hold)
  later(a, 'HDEL', k.holds, hold)
  later(a, 'ZREM', k.due, hold)
  a.hn = a.hn - 1
end

-- An overdue hold is freed and leaves a receipt, so that its late commit knows what it had; an overdue receipt is forgotten.
local function reclaim_one(k, a, hold, text, receipt_ms)
  local r = text and unpack_record(text)
  if r and r.state == 'H' then
    if not is_open(a, r) or is_over(a, r) then
      if is_open(a, r) then empty_hold(k, a, r, true) end
      r.state, r.due = 'X', a.sure + receipt_ms
    end
    put_record(k, a, hold, r, false)
  else
    if text and not r then a.is_broken = true end
    forget_record(k, a, hold)
  end
end

--[[
  Reclaim overdue records, the longest due first: RECLAIM of them, or all but `kept` if `is_thorough`.
  Writes as it goes; says whether none is left.
]]
local function reclaim(k, a, receipt_ms, is_thorough, kept)
  if a.due > a.sure then return true end
  local size, skipped = is_thorough and BATCH or RECLAIM, 0
  repeat
    local batch = redis.call('ZRANGEBYSCORE', k.due, '-inf', I(a.sure), 'LIMIT', skipped, size)
    local texts = #batch > 0 and redis.call('HMGET', k.holds, unpack(batch))
    for i, hold in ipairs(batch) do
      if hold == kept then skipped = 1 else reclaim_one(k, a, hold, texts[i], receipt_ms) end
    end
    flush(k, a)
    if #batch < size then
      local first = redis.call('ZRANGE', k.due, 0, 0, 'WITHSCORES')
      a.due = first[2] and tonumber(first[2]) or NEVER
      return true
    end
  until not is_thorough
  return false
end
