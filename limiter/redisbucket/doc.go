// Package redisbucket admits events at rates that hold over all processes of a fleet: token
// buckets in Redis, one for each key, whose tokens are taken in batches, so that an event
// costs no round trip.
//
//	client, err := redisbucket.Dial("redis://127.0.0.1:6379/0")
//	...
//	l, err := redisbucket.New(client, redisbucket.Config{
//		Rate: limiter.Rate{Events: 100, Per: time.Second, Burst: 20},
//	})
//	...
//	defer l.Close()
//	ok, err := l.Allow(ctx, "acme")
//
// Allow drops what is too much and Wait delays it. A Bucket is the same for one key, with the
// methods of a limiter.TokenBucket, for schedulers that must not wait.
//
// # How
//
//	Redis     one bucket a key: "tokens ts_us", full when it is missing
//	            │ a script takes as many as are wanted and there, by the clock of Redis
//	            ▼
//	pocket    tokens of this process, each for half of Config.Lease at most
//	            │ a lock and an addition
//	            ▼
//	Allow     admitted
//
// What is used in a quarter of Config.Lease is fetched at once, in the background, when half
// of that is left. A key of which less is used than two tokens in that time is fetched when
// it is asked for, so that no token of a low rate is taken and not used. When Redis has less
// than was wanted, this process remembers when it can have more, and refuses until then
// without asking. Fetches of many keys that come together share a round trip.
//
// A key is in Redis as prefix:{key}: one key for each bucket, in one slot of a cluster. It
// expires when it would be full. Redis 5 or later is needed, or Valkey.
//
// # What is promised while Redis answers
//
// In any time T all processes together admit at most
//
//	burst + rate·(T + L)        L: Config.Lease
//
// because a token is used within L/2 of the moment it was taken, and the bucket in Redis
// holds at most burst, or what accrues in L/2 if that is more: a bucket of a small burst
// would run over between two fetches. Who asks all the time gets the rate, less what a
// process holds when it stops asking: tokens that are not used in time are lost, not given
// back, as a token that is given back could be admitted beyond the bound if the bucket was
// full in between. An n above the burst is an error, limiter.ErrBurst. Between processes
// there is no order: who asks at the right moment gets the tokens.
//
// Processes should have the same rate for a key. Where they have not, as while a change makes
// its way, each fetch accrues at the rate of who makes it.
//
// # Through failover, restarts and steps of the clock
//
// A process knows what Redis had at its last fetch, and what accrued since: others only
// take, so there can be no more. It says so with each fetch, and Redis takes the lesser. So
// a bucket that was lost, with a restart or with a failover to a replica that lags, or whose
// clock stepped forward, brings no second burst as long as one of those who used the key
// asks first. A process that has just begun knows nothing: for it a missing bucket is full.
// A clock that steps back stops nothing: the bucket goes on from the new time.
//
// # With Redis away
//
//	shared ──no answer within Config.Timeout, or the breaker is open──▶ alone
//	alone  ──an answer, to the keeper, which tries again ─────────────▶ shared
//
// Each key has this state. Whoever waits when it changes is answered, so that no call but
// Wait takes longer than Config.Timeout. A breaker spares all other calls the wait: after three
// failures or more among the last eight round trips it opens, for 200 ms at first and 1 s at
// most, and one heartbeat at a time finds out whether Redis is back. An answer that is late is a
// failure, but is waited for in the background, for a second, so that the connection to a
// Redis that is far away gets made. Alone, OnError decides:
//
//   - Local: a bucket of this process with rate/N and burst/N, at least 1, where N processes
//     live. It is empty when Redis is lost, whose burst may be used. So the fleet admits the
//     rate, if all are asked alike; a process that is asked for more than its share admits
//     its share.
//   - Open: everything is admitted.
//   - Closed: nothing is, once what was leased has ended; Allow and Wait return
//     ErrUnavailable.
//
// What was leased before may be used until it ends. On return, what has accrued in Redis
// meanwhile is struck off, as it was admitted without it (with Closed it stays): that brings no
// burst. While Redis answers some processes and not others, the others admit their shares
// beside what Redis grants: at most twice the rate, less a share. All that were cut off together
// come back within about a second of each other.
//
// N is counted in Redis, in a sorted set of processes by the time at which they are dead: each
// says every Config.Heartbeat that it lives, and is not counted after three that are missing. The
// last count stays while Redis is away; it falls only after four heartbeats have agreed, so
// that a Redis without its memory does not make shares larger. A process that never reached
// Redis takes Config.Processes for it.
//
// A scheduler that asks AllowN and Next never waits for Redis at all: what it cannot start now
// it leaves where it is until the time that Next names.
//
// Degraded, Stats and OnDegraded tell of it. Memory is bounded by Config.MaxKeys: keys that
// nobody asks for are forgotten, and those over the bound.
package redisbucket
