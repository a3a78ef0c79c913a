function Rate.in_force(claim, meta)
  if meta.said_limit > 0 and now < meta.said_until then
    if not claim.limit or meta.said_limit * claim.per < claim.limit * meta.said_per then
      return meta.said_limit, meta.said_per
    end
  end
  return claim.limit, claim.per
end

local function waiting(key)
  local flat, line = redis.call('HGETALL', key .. ':line'), {}
  for n = 1, #flat, 2 do
    local due, turn, seq = string.match(flat[n + 1], '(%S+) (%S+) (%S+)')
    line[#line + 1] = { who = flat[n], due = tonumber(due), turn = tonumber(turn), seq = tonumber(seq) }
  end
  table.sort(line, function(a, b) return a.seq < b.seq end)
  return line
end

local function place(key, meta, line, who)
  local mine, turn, ahead, first, passed, present = nil, 0, 0, now, false, 0
  for _, other in ipairs(line) do if other.who == who then mine = other end end
  turn = mine and mine.turn or tonumber(redis.call('HGET', key .. ':turns', who)) or meta.turn
  for _, other in ipairs(line) do
    if other.who == who then
      passed = true
    elseif other.due + GRACE < now then
      redis.call('HDEL', key .. ':line', other.who)
    else
      present = present + 1
      if other.turn < turn or (other.turn == turn and not passed) then
        first = ahead > 0 and math.min(first, other.due) or other.due
        ahead = ahead + math.max(1, turn - other.turn)
      end
    end
  end
  return mine, turn, ahead, first, present + (mine and 1 or 0)
end

local function back(key, missing, limit, per)
  local times = {}
  local coming = redis.call('ZRANGE', key .. ':coming', 0, missing - 1, 'WITHSCORES')
  for n = 2, #coming, 2 do times[#times + 1] = tonumber(coming[n]) end
  local flying = redis.call('ZRANGE', key .. ':flying', 0, missing - 1, 'WITHSCORES')
  for n = 2, #flying, 2 do times[#times + 1] = tonumber(flying[n]) + per end
  table.sort(times)
  local at = times[missing] or (times[#times] or now) + per * ceil_div(missing - #times, limit)
  return at > now and at or now + POLL
end

local function careful(claim, key, meta, at)
  if at < meta.jitter_until then return math.max(claim.jitter, meta.jitter) end
  local most = claim.jitter
  for _, jitter in ipairs(redis.call('ZRANGEBYSCORE', key .. ':lesser', '(' .. text(at), '+inf')) do
    most = math.max(most, tonumber(jitter))
  end
  return most
end

local function fly(claim, key, meta, token, at, per)
  redis.call('ZADD', key .. ':flying', text(at), token)
  redis.call('EXPIRE', key .. ':flying', KEPT)
  local ends = at + claim.jitter + per + LONGER
  if claim.jitter >= careful(claim, key, meta, at) then
    write(key, { jitter = claim.jitter, jitter_until = ends })
  else
    redis.call('ZREMRANGEBYSCORE', key .. ':lesser', '-inf', text(at))
    redis.call('ZADD', key .. ':lesser', text(ends), text(claim.jitter))
    redis.call('EXPIRE', key .. ':lesser', KEPT)
  end
end

function Rate.take(claim, key, token, who)
  local meta = read(key)
  local limit, per = Rate.in_force(claim, meta)
  local line = waiting(key)
  local turns = redis.call('EXISTS', key .. ':turns') == 1
  local at, turn, mine, queued = meta.stop, 0, nil, #line
  if limit then
    redis.call('ZREMRANGEBYSCORE', key .. ':coming', '-inf', text(now))
    local long = careful(claim, key, meta, now) + meta.margin + per
    redis.call('ZREMRANGEBYSCORE', key .. ':flying', '-inf', text(now - long))
    local ahead, first = 0, 0
    if #line > 0 or turns then mine, turn, ahead, first, queued = place(key, meta, line, who) end
    local out = redis.call('ZCARD', key .. ':flying') + redis.call('ZCARD', key .. ':coming')
    local missing, go = out + ahead + 1 - limit, now
    if missing > 0 then
      go = back(key, missing, limit, per)
      if ahead > 0 then go = math.min(go, first + GRACE + 1) end
    elseif ahead > 0 and not mine then
      go = now + YIELD
    end
    at = math.max(at, go)
  end
  if at > now then
    local seq = mine and mine.seq or meta.seq + 1
    redis.call('HSET', key .. ':line', who, text(at) .. ' ' .. text(turn) .. ' ' .. text(seq))
    redis.call('EXPIRE', key .. ':line', KEPT)
    if not mine then write(key, { seq = seq }) end
    return { 'wait', text(at - now), claim.key }
  end
  if limit then fly(claim, key, meta, token, now, per) end
  if queued > 0 or turns then
    redis.call('HDEL', key .. ':line', who)
    local served = math.max(meta.turn, turn)
    write(key, { turn = served })
    redis.call('HSET', key .. ':turns', who, text(turn + 1))
    redis.call('EXPIRE', key .. ':turns', KEPT)
    local flat = redis.call('HGETALL', key .. ':turns')
    for n = 1, #flat, 2 do
      if tonumber(flat[n + 1]) <= served - (limit or 0) then redis.call('HDEL', key .. ':turns', flat[n]) end
    end
  end
end

function Rate.undo(_, key, token) redis.call('ZREM', key .. ':flying', token) end

function Rate.give_back(claim, key, job) Rate.undo(claim, key, job.token) end

local function conclude(d)
  local count = d.count + d.old_count
  if count < ENOUGH then return end
  local least = d.old_count > 0 and math.min(d.least, d.old_least) or d.least
  local spread = math.max(math.floor((d.total + d.old_total) / count) - least, math.floor(least / LEAST_SPREAD))
  local distance = math.floor(spread * WIDE / count) + math.floor(spread * NARROW / math.floor(math.sqrt(count)))
  d.credit = math.max(0, least - distance)
end

local function learn(d, took)
  if d.count >= EPOCH then
    d.old_least, d.old_total, d.old_count, d.count, d.total = d.least, d.total, d.count, 0, 0
  end
  local sooner = took < d.least or d.count == 0
  if sooner then d.least = took end
  d.total, d.count = d.total + took, d.count + 1
  d.margin = d.margin - ceil_div(d.margin, FADE)
  if sooner or d.count % ENOUGH == 0 then conclude(d) end
end

local LEARNT = { 'credit', 'margin', 'least', 'total', 'count', 'old_least', 'old_total', 'old_count' }

function Rate.settle(claim, key, job)
  if job.what == 'sent' then
    if claim.limit then fly(claim, key, read(key), job.token, now - job.ago, claim.per) end
    return
  end
  local meta, delays = read(key), {}
  for _, field in ipairs(LEARNT) do delays[field] = meta[field] end
  if not job.refusal and (claim.limit or meta.said_limit > 0) then learn(delays, job.took) end
  if redis.call('ZREM', key .. ':flying', job.token) == 1 then
    local _, per = Rate.in_force(claim, meta)
    local at = now - job.ago
    local by = at - math.max(delays.credit, job.took - careful(claim, key, meta, at)) + delays.margin
    redis.call('ZADD', key .. ':coming', text(by + per), job.token)
    redis.call('EXPIRE', key .. ':coming', KEPT)
  end
  if job.refusal and job.scope == claim.scope then
    if job.refusal.times and job.refusal.per then
      delays.said_limit, delays.said_per, delays.said_until = job.refusal.times, job.refusal.per, now + DAY
    end
    delays.credit, delays.count, delays.total, delays.old_count = 0, 0, 0, 0
    delays.margin = math.min(LARGEST_MARGIN, math.max(FIRST_MARGIN, 2 * delays.margin))
    delays.stop = math.max(meta.stop, now + job.stop)
  end
  write(key, delays)
end
