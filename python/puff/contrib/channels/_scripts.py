"""What happens in Redis, each in one step and by Redis's own clock.

A queue is a list of entries: when it expires (13 digits, in milliseconds since 1970), for which channels it
is, a space, the message. Channels whose names have a `!` share the queue of what is before it, and the entry
names what is after it, with commas in between; any other channel has a queue of its own. A group is a sorted
set of channels, each with its capacity before its name, by the time when they were added.
"""

from __future__ import annotations

from hashlib import sha1

STAMP = 13
"""How many bytes of an entry say when it expires."""

_COMMON = """
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Entries are in the order of time: what has expired comes first.
local function trim(queue, time)
  local head = redis.call('LINDEX', queue, 0)
  while head and tonumber(string.sub(head, 1, 13)) <= time do
    redis.call('LPOP', queue)
    head = redis.call('LINDEX', queue, 0)
  end
  return redis.call('LLEN', queue)
end

local function push(queue, time, expiry, entry)
  redis.call('RPUSH', queue, string.format('%013d', time + expiry) .. entry)
  redis.call('PEXPIRE', queue, expiry)
end
"""


class Script:
    """A script, and the words of the command that runs it."""

    def __init__(self, source: str) -> None:
        self._source = _COMMON + source
        self._hash = sha1(self._source.encode()).hexdigest()

    def words(self, known: bool, key: str, *arguments: str | bytes | int) -> tuple[str | bytes | int, ...]:
        """The command; if the server is `known` to have the script, with its hash only."""
        name, script = ("EVALSHA", self._hash) if known else ("EVAL", self._source)
        return (name, script, 1, key, *arguments)


SEND = Script("""
local time = now()
if trim(KEYS[1], time) >= tonumber(ARGV[2]) then return 0 end
push(KEYS[1], time, tonumber(ARGV[1]), ARGV[3])
return 1
""")
"""Key: the queue. Arguments: expiry, capacity, entry. 0 if the channel is full."""

POP = Script("""
local taken, number = KEYS[1] .. ':taken:' .. ARGV[2], tonumber(ARGV[3])
local last = tonumber(redis.call('LINDEX', taken, 0) or 0)
if last == number then return redis.call('LRANGE', taken, 1, -1) end
if last > number then return {} end
if trim(KEYS[1], now()) == 0 then
  redis.call('LTRIM', taken, 0, 0)
  return {}
end
local entries = redis.call('LPOP', KEYS[1], ARGV[1])
redis.call('DEL', taken)
redis.call('RPUSH', taken, number, unpack(entries))
redis.call('PEXPIRE', taken, ARGV[4])
return entries
""")
"""Key: the queue. Arguments: how many entries at most, by whom, that one's number for the question, expiry.

What is taken is kept until the next question: one whose answer was lost is asked again with its number and
has the same entries. A question that comes late, after the next one, has none.
"""

PUT_BACK = Script("""
if redis.call('SET', KEYS[1] .. ':back:' .. ARGV[1], 1, 'NX', 'PX', ARGV[2]) then
  redis.call('LPUSH', KEYS[1], unpack(ARGV, 3))
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
""")
"""Key: the queue. Arguments: by whom and which time, expiry, entries, the last one first. Asked again, it
does nothing."""

ADD = Script("""
redis.call('ZADD', KEYS[1], now(), ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
""")
"""Key: the group. Arguments: expiry of groups, member."""

GROUP_SEND = Script("""
local prefix, group_expiry, expiry, body = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time, over, names, lengths = now(), 0, {}, {}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time - group_expiry)
local members, seen = redis.call('ZRANGE', KEYS[1], 0, -1), {}
for _, member in ipairs(members) do
  local capacity, channel = string.match(member, '^(%d+) (.*)$')
  -- Twice where two processes give it two capacities.
  if not seen[channel] then
    seen[channel] = true
    local mark = string.find(channel, '!', 1, true)
    local queue = prefix .. (mark and string.sub(channel, 1, mark) or channel)
    if not names[queue] then
      names[queue], lengths[queue] = {}, trim(queue, time)
    end
    if lengths[queue] >= tonumber(capacity) then
      over = over + 1
    else
      table.insert(names[queue], mark and string.sub(channel, mark + 1) or '')
    end
  end
end
for queue, channels in pairs(names) do
  if #channels > 0 then
    push(queue, time, expiry, table.concat(channels, ',') .. ' ' .. body)
  end
end
return {over, #members}
""")
"""Key: the group. Arguments: prefix of queues, expiry of groups, expiry, message. How many were full, of how
many."""
