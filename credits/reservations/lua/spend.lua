--[[
  Spend in one step, without a hold in between: all types or none.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · why (spend, deduct) · receipt ms · name
        · member (may be empty) · (type · amount)…   A deduction counts for the member and is not held up by its limits.
  Returns
    COMMITTED     unsettled of the account in all, this included
    REPLAYED      this op was done before with the same content
    CONFLICT      it was done before with other content, or its name is a hold's; nothing changed
    INSUFFICIENT  (type · needed · available) of each type that is short; nothing changed
    LIMIT         member · (type · day, month or ever · limit · used · asked for · end of the window, 0 for never) of each
                  of its limits that this would pass; nothing changed
    MEMBER        member · load · ms: load_member first, with what the ledger has then
    BAD           an amount is none, or a sum would pass 2^53 - 1; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
local function spend(keys, args)
  expect(args, 10)
  local k, said, receipt_ms = names(keys), whole(args[3]), whole(args[8])
  local member = args[10]
  check_step(args[5], args[6])
  check_member(member)
  local items = items_of(args, 11, amount)
  if not items or #items == 0 then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, items, args[2], member)
  if not a then return refusal end
  local known = record(k, args[4])
  if known then return leave(k, a, step_fingerprint(known, args[5]) == args[6] and 'REPLAYED' or 'CONFLICT') end
  if not is_known(k, a, member) then return ask_for_member(k, a, member) end
  local is_all_reclaimed = reclaim(k, a, receipt_ms, false)
  local bound = args[7] == 'spend' and member or ''
  local steps, short = plan_items(k, a, items, nil, 'if_available')
  local over = excess(k, a, bound, items)
  if #short + #over > 0 and not is_all_reclaimed then
    reclaim(k, a, receipt_ms, true)
    steps, short = plan_items(k, a, items, nil, 'if_available')
    over = excess(k, a, bound, items)
  end
  if #over > 0 then return leave(k, a, 'LIMIT', member, unpack(over)) end
  if #short > 0 then return leave(k, a, 'INSUFFICIENT', unpack(short)) end
  if is_too_much(a, items) then return leave(k, a, 'BAD') end
  local booked = {}
  for i, step in ipairs(steps) do booked[i] = spend_item(k, a, nil, step, member) end
  put_record(k, a, args[4], receipt_of_spending(a, args[5], args[6], receipt_ms, args[9], member), true)
  journal(k, a, args[5], args[7], args[6], args[9], booked, member)
  return leave(k, a, 'COMMITTED', I(a.us))
end
