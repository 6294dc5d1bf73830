package redisbucket

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// takeScript takes tokens from a bucket.
//
//	KEYS[1]  the bucket: "tokens ts_us", how many there were when
//	ARGV[1]  tokens that accrue in a microsecond
//	ARGV[2]  capacity
//	ARGV[3]  how many are wanted
//	ARGV[4]  what less is of no use
//	ARGV[5]  the most that there can be, as the caller knows
//	returns  tokens taken, whole tokens left, microseconds until there is one more
//
// All that is written is formatted here, as tostring keeps 14 digits, which cuts
// microseconds; what is returned is made whole here, as a reply is cut to an integer anyway.
// Nothing is written where nothing is taken, so that refusals round nothing and cost no
// replication. A clock that steps back brings no token, and is written at once: the bucket
// goes by the new time from then on.
var takeScript = redis.NewScript(takeSource)

const takeSource = `
local rate, cap = tonumber(ARGV[1]), tonumber(ARGV[2])
local want, least, bound = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local tokens, write = cap, false
local state = redis.call('GET', KEYS[1])
if state then
  local had, at = string.match(state, '^(%S+) (%d+)$')
  had, at = tonumber(had or ''), tonumber(at or '')
  if had and at then
    tokens = math.min(cap, had + math.max(0, now - at) * rate)
    write = now < at
  end
end
if tokens > bound then
  tokens, write = bound, true
end
local n = math.min(want, math.floor(tokens))
if n < least or n < 0 then
  n = 0
end
if n > 0 or write then
  tokens = tokens - n
  local px = math.max(1, math.min(math.ceil((cap - tokens) / rate / 1000), 100000000000000))
  redis.call('SET', KEYS[1], string.format('%.17g %.0f', tokens, now), 'PX', string.format('%.0f', px))
end
local left = math.floor(tokens)
return {n, left, math.min(math.ceil((left + 1 - tokens) / rate), 1000000000000000)}
`

// liveScript counts the processes that live.
//
//	KEYS[1]  a sorted set: processes by when they are dead unless they say something
//	ARGV[1]  the process
//	ARGV[2]  milliseconds it lives; 0: it leaves
//	returns  how many live
var liveScript = redis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local life = tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if life > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + life), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * life))
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
return redis.call('ZCARD', KEYS[1])
`)

// A reply is what takeScript returns.
type reply struct {
	taken, left int64
	nextMicros  int64
}

// errReply says that Redis answered what the script never does.
var errReply = errors.New("redisbucket: the script's answer is not three numbers")

func parseReply(cmd *redis.Cmd) (reply, error) {
	values, err := cmd.Int64Slice()
	switch {
	case err != nil:
		return reply{}, err
	case len(values) != 3:
		return reply{}, errReply
	}
	return reply{values[0], values[1], values[2]}, nil
}

// run executes takeScript for all fetches in one round trip, or two when Redis has
// forgotten the script, and leaves the answers in them.
func run(ctx context.Context, client redis.UniversalClient, fetches []*fetch) {
	missing := pipe(ctx, client, fetches, redis.Pipeliner.EvalSha, takeScript.Hash())
	if len(missing) > 0 {
		pipe(ctx, client, missing, redis.Pipeliner.Eval, takeSource)
	}
}

type evaluator func(p redis.Pipeliner, ctx context.Context, script string, keys []string, args ...any) *redis.Cmd

func pipe(ctx context.Context, client redis.UniversalClient, fetches []*fetch, eval evaluator, script string) (missing []*fetch) {
	p, cmds := client.Pipeline(), make([]*redis.Cmd, len(fetches))
	for i, f := range fetches {
		cmds[i] = eval(p, ctx, script, []string{f.entry.name}, f.args()...)
	}
	_, _ = p.Exec(ctx) // each command has its error
	for i, f := range fetches {
		f.reply, f.err = parseReply(cmds[i])
		if redis.HasErrorPrefix(f.err, "NOSCRIPT") {
			missing = append(missing, f)
		}
	}
	return missing
}

// live says that process lives for so many milliseconds, or leaves if 0, and returns how
// many do.
func live(ctx context.Context, client redis.UniversalClient, key, process string, millis int64) (int, error) {
	n, err := liveScript.Run(ctx, client, []string{key}, process, strconv.FormatInt(millis, 10)).Int()
	if err != nil {
		return 0, fmt.Errorf("redisbucket: heartbeat: %w", err)
	}
	return n, nil
}
