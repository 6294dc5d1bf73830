// Package tenants holds work in bounded queues, one per tenant, and decides which
// tenant's turn it is: start-time fair queueing, charged by the time workers spend. It
// knows no broker. Queues is for those who have workers of their own, Pool for those who
// want them brought along.
//
//	q, err := tenants.NewQueues[string](tenants.Config{})
//	...
//	err = q.Push("acme", "", "an item", 7)   // ErrShed, ErrFull: refused, for acme alone
//	...
//	j, err := q.Next(ctx)                    // each worker: whose turn it is
//	work(j.Value)
//	q.Done(j)                                // what it took is charged to j.Tenant
//
// # The way of an item
//
//	Push ─▶ queued ──Next──▶ running ──Done──▶ finished
//	  │       ▲ │               │
//	  │       │ └──Close──▶     │
//	  ▼       └────Requeue──────┘
//	refused
//
// There is one queue per tenant and class, first in first out. A class is whatever items
// need besides a worker, say a downstream: SetOpen closes it for all tenants at once, OpenFor
// opens it for so many items, SetLimit bounds how many of it run at once. What is queued runs
// if its class is open and below its limit, its tenant is not paused, has less running than
// its MaxInFlight and a token of its Rate, and no Requeue has delayed the queue. What finds,
// once it was started, that it cannot run after all goes back by Return, and nobody pays. So
// does, by ReturnUntil, what finds no token of a rate that is counted elsewhere, which is
// Policy.SharedRate: its tenant waits until there may be one.
//
// Classes are named by the program and never forgotten; meant are some tens at most.
// Tenants are named by whoever sends, so their number is bounded: the busy ones by what
// may be queued and running, the idle ones by Config.Forget and by 16,384.
//
// # Watermarks
//
//	normal   ──at or above High──▶ shedding or holding
//	shedding ──at or below Low───▶ normal       Push returns ErrShed meanwhile
//	holding  ──at or below Low───▶ normal       Push accepts; Holding is true
//	holding  ──too long──────────▶ shedding     only with HoldWithin
//
// An item that does not fit into the bytes of its queue counts as the high mark reached,
// so that smaller ones do not overtake it. The total bounds of Config come first: they
// refuse with ErrFull whatever the mode. Bytes of a queue may be passed by one item, if
// the queue is empty, so that a large one is not refused for ever.
//
// # The soft bound
//
// Marks bound one queue. What all queues together may hold is bounded by Config.Soft: by how
// long it would wait, at the pace measured, so that many tenants that flood do not take the
// room of one that comes later. A queue that is beyond it sheds below its High, and goes on
// when the others leave it more. Room tells what a queue takes, Blocked how much waits for
// something else than its turn, and Take takes a queue out, for whoever can keep it elsewhere.
//
// # Fairness
//
// Every tenant has a tag F, in nanoseconds of worker-time divided by its weight w, and
// there is one virtual time V. The queue that runs next is the one whose tenant has the
// least F, among equals the one whose head arrived first.
//
//	dispatch              V = max(V, F);  F += G/w    G: mean service time of the tenant
//	after G, 2G, 4G, ...  F += G/w, 2G/w, 4G/w, ...   while it still runs
//	completion after S    F += (S - charged)/w
//	idle or blocked,
//	and now runnable      F = max(V, F)
//
// So F grows by S/w for every run, whatever G is: the estimate decides when a tenant pays,
// not how much. How far apart can the service of two tenants f and g get that always have
// something to run? Let W be what each has received per weight, in-flight time included,
// since both began, and E what it is charged beyond that, so F = W + E. When f is chosen,
// F_f is at most F_g, hence W_f - W_g is at most E_g - E_f. From then on f can only get
// ahead by what its runs in flight have left. With C workers at most C-1 others run, each of
// them is charged at least what it has run and at most as much again or G, so
//
//	|W_f - W_g| <= (C+1) (Smax_f/w_f + Smax_g/w_g)
//
// at all times since both were backlogged. Between any two moments the same holds if each
// of the two has runs of about one length, as G is then what they will take. If they vary
// the most that can be promised is 2C-1 in place of C+1: no scheduler knows what is
// unlike the past. With equal weights and equal work all this is round robin; with unequal
// work, the heavy ones go less often.
//
// The rule for who becomes runnable lets debt survive idleness, and credit not: a tenant
// that did nothing for an hour starts at V, as one does that was never seen. Therefore a
// tenant with F at or below V and nothing queued or running may be forgotten, and when it
// comes back nobody can tell. Its mean service time and its pace are taken as unknown again
// after Forget in either case. So that this holds for rates, too, a tenant is remembered
// until its bucket is full; only when 16,384 are idle may one be forgotten before that.
//
// A class that is closed costs nothing while it is: its queues keep their places, and their
// tags grow old. If V has moved when it opens, what starts from it starts at V at the
// earliest, less the lag that the furthest behind of its queues had when it was closed.
// Closing it for ten minutes earns nothing; closing it for a moment, as one does whenever
// its permits run out, loses nothing.
//
// When nothing at all is queued or running, V moves up to the highest F: a busy period has
// ended, and debts with it, since nobody is waiting to whom anything is owed. V moves up,
// too, when more than 16,384 tenants are idle and all in debt: to the least debt found among
// some of them, which is then none. So names made up one for each item do not start
// before everybody else for ever.
//
// Any run counts as a microsecond at least, about what it takes to schedule it, and as a
// day at most.
package tenants
