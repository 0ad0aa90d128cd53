--[[
  Spend in one step, without a hold in between: all types or none.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · why (spend, deduct) · receipt ms · name · (type · amount)…
  Returns
    COMMITTED     unsettled of the account in all, this included
    REPLAYED      this op was done before with the same content
    CONFLICT      it was done before with other content, or its name is a hold's; nothing changed
    INSUFFICIENT  (type · needed · available) of each type that is short; nothing changed
    BAD           an amount is none, or a sum would pass 2^53 - 1; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
local function spend(keys, args)
  expect(args, 9)
  local k, said, receipt_ms = names(keys), whole(args[3]), whole(args[8])
  check_step(args[5], args[6])
  local items = items_of(args, 10, amount)
  if not items or #items == 0 then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, items, args[2])
  if not a then return refusal end
  local known = record(k, args[4])
  if known then return leave(k, a, step_fingerprint(known, args[5]) == args[6] and 'REPLAYED' or 'CONFLICT') end
  local is_all_reclaimed = reclaim(k, a, receipt_ms, false)
  local steps, short = plan_items(k, a, items, nil, 'if_available')
  if #short > 0 and not is_all_reclaimed then
    reclaim(k, a, receipt_ms, true)
    steps, short = plan_items(k, a, items, nil, 'if_available')
  end
  if #short > 0 then return leave(k, a, 'INSUFFICIENT', unpack(short)) end
  if is_too_much(a, items) then return leave(k, a, 'BAD') end
  local booked = {}
  for i, step in ipairs(steps) do booked[i] = spend_item(k, a, nil, step) end
  put_record(k, a, args[4], receipt_of_spending(a, args[5], args[6], receipt_ms, args[9]), true)
  journal(k, a, args[5], args[7], args[6], args[9], booked)
  return leave(k, a, 'COMMITTED', I(a.us))
end
