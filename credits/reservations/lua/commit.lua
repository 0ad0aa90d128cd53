--[[
  Turn a hold, or a part of it, into spending; append it to the journal in the same step.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · final (0 or 1) · policy (deny, if_available, allow_debt)
        · receipt ms · name · (type · amount, 0 allowed)…   no types: everything the hold still has
  With final = 1 what is not committed returns; with 0 it stays held for further steps, each with an op of its own.
  A hold that is gone (expired, released, lost with a Redis) is rescued: paid from what is available, if it suffices.
  Returns
    COMMITTED     unsettled of the account in all, this included · what the hold still has of every type together
    RESCUED       the same, paid without the hold
    REPLAYED      this op was done before with the same content
    CONFLICT      this op was done before with other content; nothing changed
    INSUFFICIENT  (type · needed · available) of each type that is short above the hold; nothing changed
    GONE          (type · needed · available): the hold is gone and the credits do not suffice; nothing changed
    BAD           an amount is none, or there are too many steps; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
-- Decide what one type costs: from the hold, from what is available, on debt. Nil and what is short, if it cannot be.
local function plan_item(k, a, item, held, policy)
  local c = kind(k, a, item.name)
  local from_hold = math.min(item.amount, held)
  local extra = item.amount - from_hold
  local step = { name = item.name, amount = item.amount, from_hold = from_hold, takes = {}, taken = 0, debt = 0 }
  if extra == 0 then return step end
  local takes, found = find(k, a, item.name, extra, c.dt)
  local free = math.max(0, found - c.dt)
  if free >= extra then
    step.takes, step.taken = takes, extra
  elseif policy == 'allow_debt' and c.dt + extra <= MAX then
    step.takes, step.taken = find(k, a, item.name, free, 0), free
    step.debt = extra - free
  else
    return nil, { item.name, I(extra), I(free) }
  end
  return step
end

local function plan_items(k, a, items, r, policy)
  local steps, short = {}, {}
  for i, item in ipairs(items) do
    local held = r and r.items[item.name] and r.items[item.name].left or 0
    local is_over = r and item.amount > held and policy == 'deny'
    local step, missing
    if is_over then
      missing = { item.name, I(item.amount), I(held) }
    else
      step, missing = plan_item(k, a, item, held, policy)
    end
    if missing then
      for _, word in ipairs(missing) do short[#short + 1] = word end
    end
    steps[i] = step
  end
  return steps, short
end

-- Carry a planned step out; returns the journal's item, nil for a zero.
local function spend_item(k, a, r, step)
  local c = kind(k, a, step.name)
  local lots = {}
  if step.from_hold > 0 then
    local item = r.items[step.name]
    local used
    used, item.lots = split(item.lots, step.from_hold)
    item.left = item.left - step.from_hold
    c.hd = c.hd - step.from_hold
    lots[#lots + 1] = used
  end
  if step.taken > 0 then
    lots[#lots + 1] = take(k, a, step.name, step.takes)
    c.av = c.av - step.taken
  end
  c.dt = c.dt + step.debt
  c.us = c.us + step.amount
  if step.amount == 0 then return nil end
  return { name = step.name, amount = step.amount, debt = step.debt, lots = table.concat(lots, '+') }
end

local function unsettled(a)
  local total = 0
  for _, c in pairs(a.kinds) do total = total + c.us end
  return total
end

local function left_of(r)
  local total = 0
  for _, name in ipairs(r.order) do total = total + r.items[name].left end
  return total
end

local function commit(keys, args)
  local k = names(keys)
  local items = items_of(args, 11, amount_or_zero)
  if not items then return { 'BAD' } end
  local a, refusal = enter(k, args[1], args[3])
  if not a then return refusal end
  local text = redis.call('HGET', k.holds, args[4])
  local known = text and unpack_record(text)
  if known then
    local fp = step_fingerprint(known, args[5])
    if fp then return leave(k, a, fp == args[6] and 'REPLAYED' or 'CONFLICT') end
    if count_steps(known) >= MAX_STEPS then return leave(k, a, 'BAD') end
  end
  local is_held = known and known.state == 'H' and known.load == a.load
  local r = is_held and known or nil
  if #items == 0 then
    if not is_held then return leave(k, a, 'GONE') end
    for i, name in ipairs(r.order) do items[i] = { name = name, amount = r.items[name].left } end
  end
  local steps, short = plan_items(k, a, items, r, args[8])
  if #short > 0 and reclaim(k, a, nil, tonumber(args[9])) then
    -- What overdue holds had may be what is missing; this hold itself may be one of them.
    text = redis.call('HGET', k.holds, args[4])
    known = text and unpack_record(text)
    is_held = known and known.state == 'H' and known.load == a.load
    r = is_held and known or nil
    steps, short = plan_items(k, a, items, r, args[8])
  end
  if #short > 0 then
    return leave(k, a, is_held and 'INSUFFICIENT' or 'GONE', unpack(short))
  end
  local is_new = not known
  if known and not is_held then
    for _, name in ipairs(known.order) do known.items[name] = { left = 0, lots = '' } end
  end
  r = r or known or { made = a.now, load = a.load, fp = '', steps = '', name = args[10], items = {}, order = {} }
  local booked = {}
  for _, step in ipairs(steps) do booked[#booked + 1] = spend_item(k, a, r, step) end
  r.steps = r.steps .. (r.steps == '' and '' or ';') .. args[5] .. '=' .. args[6]
  if args[7] == '1' or not is_held then
    if is_held then empty_hold(k, a, r) end
    r.state, r.due = 'C', a.sure + tonumber(args[9])
  end
  put_record(k, a, args[4], r, is_new)
  if #booked > 0 then journal(k, a, args[2], args[5], 'spend', args[6], args[10], booked) end
  return leave(k, a, is_held and 'COMMITTED' or 'RESCUED', I(unsettled(a)), I(left_of(r)))
end
