package consumer

// mix estimates how much of what comes is of one tenant. It looks at every few
// messages whether the tenant is that of the last one it looked at: the probability p
// of that is the sum of the squares of the tenants' shares, so that no share is above
// the root of p. It belongs to the goroutine of one lane.
type mix struct {
	count  int
	last   string
	varied float64 // decayed share of looks at which the tenant was another: 1 - p
}

const (
	mixStride = 13      // a prime, to fall into step with fewer patterns
	mixDecay  = 1.0 / 8 // of a look
)

// see takes in the tenant of a message.
func (m *mix) see(tenant string) {
	if m.count++; m.count%mixStride != 0 {
		return
	}
	if m.last == "" {
		m.last = tenant
		return
	}
	other := 0.0
	if tenant != m.last {
		other = 1
	}
	m.varied += mixDecay * (other - m.varied)
	m.last = tenant
}

// sameness returns p, 1 before anything was seen.
func (m *mix) sameness() float64 { return max(1-m.varied, 1.0/1024) }
