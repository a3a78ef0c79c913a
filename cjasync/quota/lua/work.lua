local KINDS = { rate = Rate, budget = Budget, seats = Seats }

local function book(claims, token, who)
  local charged = '0'
  for n, claim in ipairs(claims) do
    local kind, key = KINDS[claim.kind], root .. claim.key
    redis.call('SADD', root .. 'keys', claim.kind .. ' ' .. claim.key)
    local blocked = kind.take(claim, key, token, who)
    if blocked then
      for m = 1, n - 1 do KINDS[claims[m].kind].undo(claims[m], root .. claims[m].key, token) end
      return blocked
    end
    if claim.scope == 'points' then charged = redis.call('HGET', key, 'charged') end
  end
  return { 'start', charged }
end

local function settle(jobs)
  for _, job in ipairs(jobs) do
    for _, claim in ipairs(job.claims) do
      local kind, key = KINDS[claim.kind], root .. claim.key
      if job.what == 'unsent' then
        kind.give_back(claim, key, job)
      elseif kind == Rate or job.what == 'answered' then
        kind.settle(claim, key, job)
      end
    end
  end
end

if work.settle then settle(work.settle) end
if work.book then return book(work.book, work.token, work.who) end
return { 'now', text(now) }
