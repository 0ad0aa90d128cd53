--[[
  What a member has used and holds, exact to this instant: overdue holds freed, windows that are over begun anew.
  KEYS  shard · account · lots · holds · due       ARGV  epoch · caller ms · receipt ms · member
  Returns
    READ    load · ms · version · end of the day ms · end of the month ms · (type · held · day · month · ever)…
    MEMBER  member · load · ms: load_member first, with what the ledger has then
    COLD    not loaded
    STALE   not this epoch
]]
local function read_member(keys, args)
  expect(args, 4)
  local k, said, receipt_ms, member = names(keys), whole(args[2]), whole(args[3]), args[4]
  check_member(member)
  if member == '' then error('a member is missing') end
  local a, refusal = enter(k, args[1], said, nil, nil, member)
  if not a then return refusal end
  reclaim(k, a, receipt_ms, true)
  if not is_known(k, a, member) then return ask_for_member(k, a, member) end
  local b = budget(k, a, member)
  local answer = { 'READ', a.load, I(a.sure), b.version, I(b.days[2]), I(b.months[2]) }
  for _, name in ipairs(b.order) do
    local item = b.items[name]
    for _, word in ipairs({ name, I(item.hd), I(item.d), I(item.m), I(item.e) }) do answer[#answer + 1] = word end
  end
  flush(k, a)
  return answer
end
