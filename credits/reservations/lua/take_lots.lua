--[[
  Run a debit that a command row in SQL ordered: take what is free of named lots (an expiry, a clawback). Credits under
  hold stay with their jobs. What is missing becomes debt if the command says so. Once by its op.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · why · receipt ms · name · type · amount wanted
        · debt for the rest (0 or 1) · lot…
  Returns
    TAKEN     how much was taken from lots · how much became debt
    REPLAYED  this op was run before with the same content
    CONFLICT  it was run before with other content; nothing changed
    BAD       the amount is none; nothing changed
    COLD      not loaded
    STALE     not this epoch
]]
local function take_lots(keys, args)
  local k = names(keys)
  local wanted = amount(args[11])
  if not wanted then return { 'BAD' } end
  local a, refusal = enter(k, args[1], args[3])
  if not a then return refusal end
  local text = redis.call('HGET', k.holds, args[4])
  if text then
    local fp = step_fingerprint(unpack_record(text), args[5])
    return leave(k, a, fp == args[6] and 'REPLAYED' or 'CONFLICT')
  end
  reclaim(k, a, RECLAIM, tonumber(args[8]))
  local c = kind(k, a, args[10])
  if c.dt + wanted > MAX then return leave(k, a, 'BAD') end
  local missing, parts = wanted, {}
  for i = 13, #args do
    local have, sort_key = lot(k, a, args[i])
    local part = have and math.min(have, missing) or 0
    if part > 0 then
      if is_past(expiry(sort_key), a.sure) then
        touch(a, 'L' .. args[i], I(have - part) .. ':' .. sort_key)
        c.lp = c.lp - part
      else
        put_lot(k, a, args[10], args[i], have, have - part, sort_key)
        c.av = c.av - part
      end
      parts[#parts + 1] = args[i] .. ':' .. I(part)
      missing = missing - part
    end
  end
  local debt = args[12] == '1' and missing or 0
  local taken = wanted - missing
  c.dt, c.us = c.dt + debt, c.us + taken + debt
  local r = { state = 'S', due = a.sure + tonumber(args[8]), made = a.now, load = a.load, fp = args[6],
              steps = args[5] .. '=' .. args[6], name = args[9], items = {}, order = {} }
  put_record(k, a, args[4], r, true)
  if taken + debt > 0 then
    local item = { name = args[10], amount = taken + debt, debt = debt, lots = table.concat(parts, '+') }
    journal(k, a, args[2], args[5], args[7], args[6], args[9], { item })
  end
  return leave(k, a, 'TAKEN', I(taken), I(debt))
end
