--[[
  Turn a hold, or a part of it, into spending; append it to the journal in the same step.
  KEYS  shard · account · lots · holds · due · journal
  ARGV  epoch · account id · caller ms · hold · op · fingerprint · final (0 or 1) · policy (deny, if_available, allow_debt)
        · receipt ms · name · member (may be empty) · (type · amount, 0 allowed)…
        no types: everything the hold still has, or had when its time ran out. The hold knows whose it is; the member that
        is said counts where the hold is lost.
  With final = 1 what is not committed returns; with 0 it stays held for further steps, each with an op of its own.
  A hold that is gone (its time ran out, it ended before, a Redis lost it) is rescued: paid from what is available, if
  that suffices; else by policy.
  Returns
    COMMITTED     unsettled of the account in all, this included · what the hold still has of every type together
    RESCUED       the same, paid without the hold
    REPLAYED      this op was done before with the same content
    CONFLICT      this op was done before with other content, or the name is no hold's but a spending's; nothing changed
    INSUFFICIENT  (type · asked · possible, the hold included) of each type that is short; nothing changed
    GONE          (type · asked · available): the hold is gone and the credits do not suffice; nothing changed.
                  No types: it is not even known what it had
    LIMIT         member · (type · day, month or ever · limit · used · asked for · end of the window, 0 for never) of each
                  of its limits that this would pass, unless debt is allowed; nothing changed
    MEMBER        member · load · ms: load_member first, with what the ledger has then
    BAD           an amount is none, there are too many steps, or a sum would pass 2^53 - 1; nothing changed
    COLD          not loaded
    STALE         not this epoch
]]
local MAX_STEPS = 256

-- Everything a hold has, or had; nil if that is not known.
local function everything(a, known)
  if not known or not (is_open(a, known) or known.state == 'X') then return nil end
  local items = {}
  for i, name in ipairs(known.order) do items[i] = { name = name, amount = known.items[name].left } end
  return items
end

local function left_of(r)
  local total = 0
  for _, name in ipairs(r.order) do total = total + r.items[name].left end
  return math.min(total, MAX)
end

-- What the steps cost, booked on hold `r` (nil: it is gone) and in the journal; returns the record as it stands then.
local function carry_out(k, a, args, known, is_held, steps, receipt_ms, member)
  local r = known or { made = a.now, load = a.load, fp = '', steps = '', name = args[10], member = member, items = {}, order = {} }
  local booked = {}
  for _, step in ipairs(steps) do booked[#booked + 1] = spend_item(k, a, r, step, member) end
  r.steps = r.steps .. (r.steps == '' and '' or ';') .. args[5] .. '=' .. args[6]
  if args[7] == '1' or not is_held then
    if is_held then empty_hold(k, a, r) end
    for _, item in pairs(r.items) do item.left, item.lots = 0, '' end
    r.state, r.due = 'C', a.sure + receipt_ms
  end
  put_record(k, a, args[4], r, not known)
  if #booked > 0 then journal(k, a, args[5], 'spend', args[6], args[10], booked, member) end
  return r
end

local function commit(keys, args)
  expect(args, 11)
  local k, said, receipt_ms = names(keys), whole(args[3]), whole(args[9])
  check_step(args[5], args[6])
  check_member(args[11])
  local items = items_of(args, 12, amount_or_zero)
  if not items then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, items, args[2])
  if not a then return refusal end
  local known = record(k, args[4])
  if known then
    local fp = step_fingerprint(known, args[5])
    if fp then return leave(k, a, fp == args[6] and 'REPLAYED' or 'CONFLICT') end
    if known.state == 'S' then return leave(k, a, 'CONFLICT') end
    if count_steps(known) >= MAX_STEPS then return leave(k, a, 'BAD') end
  end
  local is_held = is_open(a, known)
  if #items == 0 then
    items = everything(a, known)
    if not items then return leave(k, a, 'GONE') end
  end
  local member, hold = known and known.member or args[11], is_held and known or nil
  if not is_known(k, a, member) then return ask_for_member(k, a, member) end
  local bound = args[8] ~= 'allow_debt' and member or ''
  local steps, short = plan_items(k, a, items, hold, args[8])
  local over = excess(k, a, bound, items, hold)
  if #short + #over > 0 then
    -- What is missing may be free behind overdue holds. This one is not among them: its job has come for it.
    reclaim(k, a, receipt_ms, true, args[4])
    steps, short = plan_items(k, a, items, hold, args[8])
    over = excess(k, a, bound, items, hold)
  end
  if #over > 0 then return leave(k, a, 'LIMIT', member, unpack(over)) end
  if #short > 0 then return leave(k, a, is_held and 'INSUFFICIENT' or 'GONE', unpack(short)) end
  if is_too_much(a, items) then return leave(k, a, 'BAD') end
  local r = carry_out(k, a, args, known, is_held, steps, receipt_ms, member)
  return leave(k, a, is_held and 'COMMITTED' or 'RESCUED', I(a.us), I(left_of(r)))
end
