--[[
  Apply one credit that SQL has committed: exactly once, in the order of its number.
  KEYS  shard · account · lots · holds · due · journal · token
  ARGV  epoch · caller ms · sv · type · amount kept · debt repaid · sort key
  Returns
    APPLIED  now
    DUP      before; nothing changed
    GAP      an earlier credit is missing: apply that first
    BAD      an amount is none, or a sum would pass 2^53 - 1; nothing changed
    COLD     not loaded; a load under way will begin again and see it
    STALE    not this epoch
]]
local function apply(keys, args)
  expect(args, 7)
  local k, said, sv = names(keys), whole(args[2]), whole(args[3])
  local name, kept, repaid, sort_key = args[4], amount_or_zero(args[5]), amount_or_zero(args[6]), args[7]
  if not kept or not repaid or #sort_key ~= 25 or not string.find(name, '^[%w_]+$') then return { 'BAD' } end
  local a, refusal = enter(k, args[1], said, { { name = name } })
  if not a then
    if refusal[1] == 'COLD' then redis.call('DEL', k.token) end
    return refusal
  end
  if sv <= a.sv then return leave(k, a, 'DUP') end
  if sv > a.sv + 1 then return leave(k, a, 'GAP') end
  local c = kind(k, a, name)
  -- What is unsettled may yet come back to the lots.
  if c.av + c.hd + c.lp + c.us + kept > MAX then return leave(k, a, 'BAD') end
  if repaid > c.dt then
    -- The ledger never repays what nobody owes: what stands here is wrong, and a load puts it right.
    redis.call('HDEL', k.account, 'm')
    redis.call('DEL', k.token)
    return { 'COLD' }
  end
  a.sv, c.dt = sv, c.dt - repaid
  if kept > 0 then
    local before = lot(k, a, name, c, lot_of(sort_key)) or 0
    if expiry(sort_key) > a.sure then
      give(k, a, name, c, sort_key, before, kept)
    else
      -- A credit may come after its own expiry.
      put_lot(a, name, sort_key, before + kept)
      c.lp = c.lp + kept
    end
  end
  return leave(k, a, 'APPLIED')
end
