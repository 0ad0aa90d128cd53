--[[
  Run a debit that a command row in SQL ordered: take what is free of named lots (an expiry, a clawback). Credits under
  hold stay with their jobs. What is missing becomes debt if the command says so. Once by its op.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · why · receipt ms · name · type · amount wanted
        · debt for the rest (0 or 1) · lot…
  Returns
    TAKEN     how much was taken from lots · how much became debt. Nothing at all is not journalled
    REPLAYED  the same of an op that was run before with the same content
    CONFLICT  it was run before with other content; nothing changed
    BAD       the amount is none, or a sum would pass 2^53 - 1; nothing changed
    COLD      not loaded
    STALE     not this epoch
]]
-- Take up to `wanted` of one lot, be it available or lapsed; returns how much.
local function take_of_lot(k, a, name, id, wanted)
  local c = kind(k, a, name)
  local have, sort_key = lot(k, a, name, c, id)
  if not have then return 0 end
  local part = math.min(have, wanted)
  if expiry(sort_key) <= a.sure then
    put_lot(a, name, sort_key, have - part)
    c.lp = c.lp - part
  elseif part > 0 then
    take(k, a, name, c, sort_key, have, part)
  end
  return part
end

local function take_lots(keys, args)
  expect(args, 12)
  local k, said, receipt_ms, name = names(keys), whole(args[3]), whole(args[8]), args[10]
  check_step(args[5], args[6])
  local wanted = amount(args[11])
  if not wanted or not string.find(name, '^[%w_]+$') then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, { { name = name } }, args[2])
  if not a then return refusal end
  local known = record(k, args[4])
  if known then
    if step_fingerprint(known, args[5]) ~= args[6] or not known.items[name] then return leave(k, a, 'CONFLICT') end
    local total, debt = known.items[name].left, string.match(known.items[name].lots, '^debt:(%d+)$')
    return leave(k, a, 'REPLAYED', I(total), debt)
  end
  -- What overdue holds had is free to be taken: nobody owes it.
  reclaim(k, a, receipt_ms, true)
  local c = kind(k, a, name)
  if a.us + wanted > MAX or (args[12] == '1' and c.dt + wanted > MAX) then return leave(k, a, 'BAD') end
  local taken, parts = 0, {}
  for i = 13, #args do
    local part = take_of_lot(k, a, name, args[i], wanted - taken)
    if part > 0 then parts[#parts + 1] = args[i] .. ':' .. I(part) end
    taken = taken + part
  end
  local debt = args[12] == '1' and wanted - taken or 0
  c.dt, c.us, a.us = c.dt + debt, c.us + taken + debt, a.us + taken + debt
  local r = receipt_of_spending(a, args[5], args[6], receipt_ms, args[9], '')
  r.order, r.items = { name }, { [name] = { left = taken, lots = 'debt:' .. I(debt) } }
  put_record(k, a, args[4], r, true)
  if taken + debt > 0 then
    local item = { name = name, amount = taken + debt, debt = debt, lots = table.concat(parts, '+') }
    journal(k, a, args[5], args[7], args[6], args[9], { item }, '')
  end
  return leave(k, a, 'TAKEN', I(taken), I(debt))
end
