-- Spending: planned for every type first, then carried out and journalled; shared by commit, spend and take_lots.

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
  elseif policy == 'allow_debt' and c.dt + extra - free <= MAX then
    step.takes, step.taken, step.debt = find(k, a, item.name, free, 0), free, extra - free
  else
    return nil, { item.name, I(item.amount), I(held + free) }
  end
  return step
end

-- The steps for `items` from hold `r` (nil: without one); and (type, asked, possible) of those that are short.
local function plan_items(k, a, items, r, policy)
  local steps, short = {}, {}
  for i, item in ipairs(items) do
    local held = r and r.items[item.name] and r.items[item.name].left or 0
    local step, missing
    if r and item.amount > held and policy == 'deny' then
      missing = { item.name, I(item.amount), I(held) }
    else
      step, missing = plan_item(k, a, item, held, policy)
    end
    for _, word in ipairs(missing or {}) do short[#short + 1] = word end
    steps[i] = step
  end
  return steps, short
end

-- Would the sum of what is unsettled pass the bound?
local function is_too_much(a, items)
  local total = a.us
  for _, item in ipairs(items) do
    total = total + item.amount
    if total > MAX then return true end
  end
  return false
end

-- Carry a planned step of a member's, or of nobody's, out; returns the journal's item, nil for a zero.
local function spend_item(k, a, r, step, member)
  local c = kind(k, a, step.name)
  local lots = {}
  if step.from_hold > 0 then
    local item = r.items[step.name]
    if step.from_hold == item.left then
      lots[1], item.lots = item.lots, ''
    else
      lots[1], item.lots = split(item.lots, step.from_hold)
    end
    item.left = item.left - step.from_hold
    c.hd = c.hd - step.from_hold
  end
  if step.taken > 0 then lots[#lots + 1] = take_all(k, a, step.name, c, step.takes) end
  c.dt, c.us, a.us = c.dt + step.debt, c.us + step.amount, a.us + step.amount
  spend_for(k, a, member, step.name, step.amount, step.from_hold)
  if step.amount == 0 then return nil end
  return { name = step.name, amount = step.amount, debt = step.debt, lots = table.concat(lots, '+') }
end

-- items: list of {name, amount, debt, lots}
local function journal(k, a, op, why, fp, name, items, member)
  local parts = {}
  for i, item in ipairs(items) do parts[i] = string.format('%s=%d,%d,%s', item.name, item.amount, item.debt, item.lots) end
  local line = { 'XADD', k.journal, '*', 'op', op, 'a', a.id, 'k', why, 'fp', fp, 'i', table.concat(parts, ';'), 'r', name,
                 'e', a.epoch }
  if member ~= '' then
    for _, word in ipairs({ 'm', member, 't', I(spent_at(k, a, member)) }) do line[#line + 1] = word end
  end
  later(a, unpack(line))
  later(a, 'HSET', k.shard, 'n', I(a.entries + 1), 'u' .. a.id, I(a.own_entries + 1))
end

-- The receipt of something spent without a hold.
local function receipt_of_spending(a, op, fp, receipt_ms, name, member)
  return { state = 'S', due = a.sure + receipt_ms, made = a.now, load = a.load, fp = fp, steps = op .. '=' .. fp, name = name,
           member = member, items = {}, order = {} }
end
