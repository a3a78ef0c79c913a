-- The arithmetic of bucket.py and ledger.py, where the buckets are: one call books or settles everything, or nothing.
-- Times are whole microseconds. KEYS[1]: what all keys begin with. ARGV: the work in JSON, and a clock (0: the server's).
local root, work, given = KEYS[1], cjson.decode(ARGV[1]), tonumber(ARGV[2])
local SECOND, MINUTE, DAY = 1e6, 6e7, 8.64e10
local GRAIN, POLL, GRACE, YIELD = 1440, 5000, 20000, 5000
local KEPT = 259200 -- seconds that a bucket nobody asks for is remembered
local MIDNIGHT_DOUBT, SHORTEST_DAY = 15 * MINUTE, 22 * 60 * MINUTE
local EPOCH, ENOUGH, WIDE, NARROW, LEAST_SPREAD = 4096, 16, 30, 3, 20
local FIRST_MARGIN, LARGEST_MARGIN, FADE = 1e4, 5e5, 256
local SCOPES = { daily = 'calls', points = 'points', sourcing = 'sourcing' }

local function text(n) return string.format('%.0f', n) end
local function ceil_div(a, b) return math.ceil(a / b) end

local function read(key)
  local flat, found = redis.call('HGETALL', key), {}
  for n = 1, #flat, 2 do found[flat[n]] = flat[n + 1] end
  return setmetatable({}, { __index = function(_, field) return tonumber(found[field]) or 0 end }), found
end

local function write(key, fields)
  local flat = {}
  for field, value in pairs(fields) do
    flat[#flat + 1] = field
    flat[#flat + 1] = type(value) == 'number' and text(value) or value
  end
  redis.call('HSET', key, unpack(flat))
  redis.call('EXPIRE', key, KEPT)
end

-- A clock that never runs backwards, although the server's may be set back; and the name of what is kept here.
local function clock()
  local wall = given
  if wall == 0 then
    local time = redis.call('TIME')
    wall = tonumber(time[1]) * SECOND + tonumber(time[2])
  end
  local known, found = read(root .. 'clock')
  local ahead = math.max(known.ahead, known.last - wall)
  local era = found.era or work.greeting or ''
  redis.call('HSET', root .. 'clock', 'ahead', text(ahead), 'last', text(wall + ahead), 'era', era)
  return wall + ahead, wall, era
end

local now, wall, era = clock()
if work.greeting then return { 'now', text(now), era } end
if work.era ~= era then return { 'lost' } end

local Rate, Budget, Seats = {}, {}, {}

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
  turn = mine and mine.turn or math.max(meta.turn, tonumber(redis.call('HGET', key .. ':turns', who)) or 0)
  for _, other in ipairs(line) do
    if other.who == who then
      passed = true
    elseif other.due + GRACE < now then
      redis.call('HDEL', key .. ':line', other.who)
    else
      present = present + 1
      if other.turn < turn or (other.turn == turn and not passed) then
        first = ahead > 0 and math.min(first, other.due) or other.due
        ahead = ahead + 1
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

function Rate.take(claim, key, token, who)
  local meta = read(key)
  local limit, per = Rate.in_force(claim, meta)
  local line = waiting(key)
  local turns = redis.call('EXISTS', key .. ':turns') == 1
  local at, turn, mine, queued = meta.stop, 0, nil, #line
  if limit then
    redis.call('ZREMRANGEBYSCORE', key .. ':coming', '-inf', text(now))
    redis.call('ZREMRANGEBYSCORE', key .. ':flying', '-inf', text(now - claim.travel - per))
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
  if limit then
    redis.call('ZADD', key .. ':flying', text(now), token)
    redis.call('EXPIRE', key .. ':flying', KEPT)
  end
  if queued > 0 or turns then
    redis.call('HDEL', key .. ':line', who)
    local served = math.max(meta.turn, turn)
    write(key, { turn = served })
    redis.call('HSET', key .. ':turns', who, text(turn + 1))
    redis.call('EXPIRE', key .. ':turns', KEPT)
    local flat = redis.call('HGETALL', key .. ':turns')
    for n = 1, #flat, 2 do
      if tonumber(flat[n + 1]) <= served then redis.call('HDEL', key .. ':turns', flat[n]) end
    end
  end
end

function Rate.give_back(_, key, token) redis.call('ZREM', key .. ':flying', token) end
Rate.undo = Rate.give_back

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
    if claim.limit then redis.call('ZADD', key .. ':flying', text(now - job.ago), job.token) end
    return
  end
  local meta, delays = read(key), {}
  for _, field in ipairs(LEARNT) do delays[field] = meta[field] end
  if not job.refusal and (claim.limit or meta.said_limit > 0) then learn(delays, job.took) end
  if redis.call('ZREM', key .. ':flying', job.token) == 1 then
    local _, per = Rate.in_force(claim, meta)
    local by = now - job.ago - math.max(0, job.took - claim.travel) - delays.credit + delays.margin
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

local function in_force(claim, found) return tonumber(found.limit) or claim.limit end

local function refill(claim, key)
  local state, found = read(key)
  local new = {
    charged = state.charged, returned = state.returned, ends = state.ends,
    trickled = state.trickled, shut = state.shut, newest = state.newest, reported = state.reported,
  }
  if wall >= new.ends or new.ends - wall > 2 * DAY then
    local today = (wall - claim.offset) % DAY
    new.ends = wall - today + DAY
    if new.ends > state.filled or now - today - state.filled_at >= SHORTEST_DAY then
      new.filled, new.filled_at, new.returned, new.shut = new.ends, now - today, new.charged, 0
      if not claim.trickles then
        redis.call('HDEL', key, 'limit')
        found.limit = nil
      end
    end
  end
  local limit = in_force(claim, found)
  if claim.trickles and limit then
    local minutes = math.floor((now - new.trickled) / MINUTE)
    if new.returned >= new.charged then
      new.trickled = now
    elseif minutes > 0 then
      new.returned = math.min(new.charged, new.returned + limit * minutes)
      new.trickled = new.trickled + minutes * MINUTE
    end
  end
  local hour = math.floor(wall / (60 * MINUTE))
  if hour > state.hour then
    redis.call('RPUSH', key .. ':hours', text(hour) .. ' ' .. text(new.charged))
    redis.call('LTRIM', key .. ':hours', -25, -1)
    redis.call('EXPIRE', key .. ':hours', KEPT)
    new.hour = hour
  end
  return new, limit
end

function Budget.take(claim, key)
  local state, limit = refill(claim, key)
  local missing = limit and state.charged - state.returned + (claim.cost + claim.keep - limit) * GRAIN or 0
  if now < state.shut or missing > 0 then
    write(key, state)
    local midnight, resets = now + state.ends - wall, state.shut
    if missing > 0 then
      local trickle = claim.trickles and claim.cost + claim.keep <= limit
      resets = math.max(resets, trickle and state.trickled + ceil_div(missing, limit) * MINUTE or midnight)
    end
    local used = ceil_div(state.charged - state.returned, GRAIN)
    return { 'exhausted', text(math.min(resets, midnight) - now), claim.key, text(used), text(limit or 0) }
  end
  state.charged = state.charged + claim.cost * GRAIN
  write(key, state)
end

-- In the same breath: reports and hours go by what was ever charged.
function Budget.undo(claim, key) redis.call('HINCRBY', key, 'charged', -claim.cost * GRAIN) end

function Budget.give_back(claim, key)
  local state = read(key)
  write(key, { returned = math.min(state.charged, state.returned + claim.cost * GRAIN) })
end

local function reconcile(claim, key, total, remaining, charged)
  local state, limit = refill(claim, key)
  if total and claim.limit then state.limit, limit = total, total end
  limit = total or limit
  if remaining and limit and charged >= state.newest then
    state.newest, state.reported, state.trickled = charged, 1, now
    state.returned = charged - math.max(0, limit - remaining) * GRAIN
  end
  write(key, state)
end

local function exhaust(claim, key, job)
  local state, limit = refill(claim, key)
  local size, left = job.refusal.limit or limit, job.refusal.remaining or 0
  local spent = state.charged - state.returned
  if wall - (state.ends - DAY) < MIDNIGHT_DOUBT and (not size or spent * 2 < size * GRAIN) then
    state.shut = now + MINUTE
  elseif not size then
    state.shut = now + (claim.trickles and MINUTE or state.ends - wall)
  elseif claim.trickles then
    return reconcile(claim, key, size, left, job.charged)
  else
    state.limit = size
    state.returned = math.min(state.returned, state.charged - (size - left) * GRAIN)
  end
  write(key, state)
end

function Budget.settle(claim, key, job)
  if job.points and claim.scope == 'points' then
    reconcile(claim, key, job.points.total, job.points.remaining, job.charged)
  end
  if job.refusal and SCOPES[job.refusal.kind] == claim.scope then exhaust(claim, key, job) end
end

function Seats.take(claim, key, token)
  local seen = tonumber(redis.call('ZSCORE', key, claim.account))
  if not seen and redis.call('ZCARD', key) >= claim.limit then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - claim.stay))
    local taken = redis.call('ZCARD', key)
    if taken >= claim.limit then
      local first = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
      return { 'exhausted', text(first + claim.stay - now), claim.key, text(taken), text(claim.limit) }
    end
  end
  if not seen then
    redis.call('HSET', key .. ':new', claim.account, token)
    redis.call('EXPIRE', key .. ':new', KEPT)
  end
  if not seen or now - seen >= 10 * MINUTE then
    redis.call('ZADD', key, text(now), claim.account)
    redis.call('EXPIRE', key, KEPT)
  end
end

local function turn_away(claim, key)
  if redis.call('HDEL', key .. ':new', claim.account) == 1 then redis.call('ZREM', key, claim.account) end
end

function Seats.give_back(claim, key, token)
  if redis.call('HGET', key .. ':new', claim.account) == token then turn_away(claim, key) end
end

Seats.undo = Seats.give_back

function Seats.settle(claim, key, job)
  if not job.refusal then
    redis.call('HDEL', key .. ':new', claim.account)
    redis.call('ZADD', key, 'NX', text(now), claim.account)
  elseif job.refusal.kind == 'account' then
    turn_away(claim, key)
  end
end

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
        kind.give_back(claim, key, job.token)
      elseif kind == Rate or job.what == 'answered' then
        kind.settle(claim, key, job)
      end
    end
  end
end

if work.settle then settle(work.settle) end
if work.book then return book(work.book, work.token, work.who) end
return { 'now', text(now) }
