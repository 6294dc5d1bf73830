package redisbucket

// A lease is tokens that were taken from Redis at once.
type lease struct {
	left, spent int64
	expires     int64
}

// maxLeases is how many are told apart: the fetches of one life of a lease are few when use
// is steady.
const maxLeases = 8

// A pocket holds the tokens of one key that this process has taken from Redis and not used,
// the oldest first. The zero pocket is empty.
type pocket struct {
	leases [maxLeases]lease
	n      int
}

// left returns how many tokens there are at now.
func (p *pocket) left(now int64) int64 {
	var sum int64
	for i := range p.n {
		if l := &p.leases[i]; l.expires > now {
			sum += l.left
		}
	}
	return sum
}

// take takes n tokens or none, and returns how many are left if it did, else -1.
func (p *pocket) take(now, n int64) int64 {
	left := p.left(now) - n
	if left < 0 {
		return -1
	}
	for i := 0; n > 0; i++ {
		l := &p.leases[i]
		if l.expires <= now {
			continue
		}
		k := min(n, l.left)
		l.left -= k
		l.spent += k
		n -= k
	}
	return left
}

// put adds a lease, which expires after those before. What has expired goes. If there are
// too many the two oldest are taken for one, which lives as long as the older.
func (p *pocket) put(now, tokens, expires int64) {
	kept := 0
	for i := range p.n {
		if p.leases[i].expires > now {
			p.leases[kept] = p.leases[i]
			kept++
		}
	}
	p.n = kept
	if tokens <= 0 || expires <= now {
		return
	}
	if p.n == maxLeases {
		p.merge()
	}
	p.leases[p.n] = lease{left: tokens, expires: expires}
	p.n++
}

// merge joins two neighbours, of which the older is used up if there are such.
func (p *pocket) merge() {
	at := 0
	for i := range p.n - 1 {
		if p.leases[i].left == 0 && p.leases[i+1].left == 0 {
			at = i
			break
		}
	}
	p.leases[at].left += p.leases[at+1].left
	p.leases[at].spent += p.leases[at+1].spent
	copy(p.leases[at+1:], p.leases[at+2:])
	p.n--
}

// refund gives back up to n tokens that were taken. They count as of the oldest leases that
// have spent any, so that they do not outlive the one they came from.
func (p *pocket) refund(now, n int64) {
	for i := 0; i < p.n && n > 0; i++ {
		l := &p.leases[i]
		if l.expires <= now {
			continue
		}
		k := min(n, l.spent)
		l.left += k
		l.spent -= k
		n -= k
	}
}
