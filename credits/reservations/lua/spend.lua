--[[
  Spend in one step, without a hold in between: all types or none.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · why (spend, deduct) · receipt ms · name · (type · amount)…
  Returns
    COMMITTED     unsettled of the account in all, this included
    REPLAYED      this op was done before with the same content
    CONFLICT      it was done before with other content, or its name is a hold's; nothing changed
    INSUFFICIENT  (type · needed · available) of each type that is short; nothing changed
    BAD           an amount is none; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
local function spend(keys, args)
  local k = names(keys)
  local items = items_of(args, 10, amount)
  if not items or #items == 0 then return { 'BAD' } end
  local a, refusal = enter(k, args[1], args[3])
  if not a then return refusal end
  local text = redis.call('HGET', k.holds, args[4])
  if text then
    local fp = step_fingerprint(unpack_record(text), args[5])
    return leave(k, a, fp == args[6] and 'REPLAYED' or 'CONFLICT')
  end
  local all_reclaimed = reclaim(k, a, RECLAIM, tonumber(args[8]))
  local steps, short = plan_items(k, a, items, nil, 'if_available')
  if #short > 0 and not all_reclaimed then
    reclaim(k, a, nil, tonumber(args[8]))
    steps, short = plan_items(k, a, items, nil, 'if_available')
  end
  if #short > 0 then
    return leave(k, a, 'INSUFFICIENT', unpack(short))
  end
  local r = { state = 'S', due = a.sure + tonumber(args[8]), made = a.now, load = a.load, fp = args[6],
              steps = args[5] .. '=' .. args[6], name = args[9], items = {}, order = {} }
  local booked = {}
  for i, step in ipairs(steps) do booked[i] = spend_item(k, a, r, step) end
  put_record(k, a, args[4], r, true)
  journal(k, a, args[2], args[5], args[7], args[6], args[9], booked)
  return leave(k, a, 'COMMITTED', I(unsettled(a)))
end
