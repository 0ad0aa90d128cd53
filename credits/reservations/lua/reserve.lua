--[[
  Hold credits of one or more types until they are committed, released, or the hold's deadline passes: all or none.
  KEYS  shard · account · lots · holds · due
  ARGV  epoch · caller ms · hold · fingerprint · ttl ms · receipt ms · name · member (may be empty) · (type · amount)…
  Returns
    HELD          deadline ms
    REPLAYED      state of the hold made before with the same content · its deadline ms
    CONFLICT      the name was used before for other content, or for spending; nothing changed
    INSUFFICIENT  (type · needed · available) of each type that is short; nothing is held
    LIMIT         member · (type · day, month or ever · limit · used · asked for · end of the window, 0 for never) of each
                  of its limits that this would pass; nothing is held
    MEMBER        member · load · ms: load_member first, with what the ledger has then
    BAD           an amount is none; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
-- What to take for each item; and (type, needed, available) of those that are short.
local function plan_holds(k, a, items)
  local short = {}
  for _, item in ipairs(items) do
    local debt, found = kind(k, a, item.name).dt, nil
    -- A debt is covered first: nobody spends what is owed.
    item.takes, found = find(k, a, item.name, item.amount, debt)
    if found - debt < item.amount then
      local n = #short
      short[n + 1], short[n + 2], short[n + 3] = item.name, I(item.amount), I(math.max(0, found - debt))
    end
  end
  return short
end

local function reserve(keys, args)
  expect(args, 8)
  local k, said, ttl_ms, receipt_ms = names(keys), whole(args[2]), whole(args[5]), whole(args[6])
  local member = args[8]
  check_step('-', args[4])
  check_member(member)
  local items = items_of(args, 9, amount)
  if not items or #items == 0 then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, items, nil, member)
  if not a then return refusal end
  local known = record(k, args[3])
  if known then
    -- A record without a fingerprint was made by a commit whose hold a Redis had lost.
    if known.state == 'S' or (known.fp ~= '' and known.fp ~= args[4]) then return leave(k, a, 'CONFLICT') end
    return leave(k, a, 'REPLAYED', known.state, I(known.due))
  end
  if not is_known(k, a, member) then return ask_for_member(k, a, member) end
  local is_all_reclaimed = reclaim(k, a, receipt_ms, false)
  local short, over = plan_holds(k, a, items), excess(k, a, member, items)
  if #short + #over > 0 and not is_all_reclaimed then
    -- Credits may be free behind overdue holds: nobody is refused before all of those are looked at.
    reclaim(k, a, receipt_ms, true)
    short, over = plan_holds(k, a, items), excess(k, a, member, items)
  end
  if #over > 0 then return leave(k, a, 'LIMIT', member, unpack(over)) end
  if #short > 0 then return leave(k, a, 'INSUFFICIENT', unpack(short)) end
  local r = { state = 'H', made = a.now, load = a.load, fp = args[4], steps = '', name = args[7],
              member = member, items = {}, order = {} }
  set_deadline(a, r, a.sure + ttl_ms, a.now + ttl_ms)
  for i, item in ipairs(items) do
    local c = kind(k, a, item.name)
    r.order[i] = item.name
    r.items[item.name] = { left = item.amount, lots = take_all(k, a, item.name, c, item.takes) }
    c.hd = c.hd + item.amount
    hold_for(k, a, member, item.name, item.amount)
  end
  put_record(k, a, args[3], r, true)
  return leave(k, a, 'HELD', I(r.due))
end
