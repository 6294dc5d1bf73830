package load

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
)

// Tenants says whose the requests are. The zero value is one tenant without a name.
type Tenants struct {
	Names   []string
	Weights []float64 // shares of the requests, one for each name; nil: equal
}

// ZipfTenants returns n tenants, called prefix and a number from 1, of which the k-th has
// 1/k^s of the share of the first: a few large and many small ones. With s = 0 all are
// alike.
func ZipfTenants(prefix string, n int, s float64) Tenants {
	n = max(0, min(n, maxTenants+1)) // too many are refused by NewSchedule
	t := Tenants{Names: make([]string, n), Weights: make([]float64, n)}
	for i := range n {
		t.Names[i] = prefix + strconv.Itoa(i+1)
		t.Weights[i] = math.Pow(float64(i+1), -s)
	}
	return t
}

const maxTenants = 1_000_000

// A mix draws tenants.
type mix struct {
	names []string
	upto  []float64 // the sum of the weights up to and with each
}

func newMix(t Tenants) (mix, error) {
	var err error
	if len(t.Names) > maxTenants {
		return mix{}, fmt.Errorf("Tenants.Names are %d: must be at most %d", len(t.Names), maxTenants)
	}
	if t.Weights != nil && len(t.Weights) != len(t.Names) {
		return mix{}, fmt.Errorf("Tenants.Weights are %d: must be as many as Names, %d", len(t.Weights), len(t.Names))
	}
	m, sum, seen := mix{names: t.Names}, 0.0, make(map[string]bool, len(t.Names))
	for i, name := range t.Names {
		if name == "" || seen[name] {
			err = errors.Join(err, fmt.Errorf("Tenants.Names[%d] is %q: must be a name that no other has", i, name))
		}
		seen[name] = true
		w := 1.0
		if t.Weights != nil {
			w = t.Weights[i]
		}
		if !(w > 0 && w <= math.MaxFloat32) {
			err = errors.Join(err, fmt.Errorf("Tenants.Weights[%d] is %v: must be above 0 and at most %g", i, w, math.MaxFloat32))
		}
		sum += w
		m.upto = append(m.upto, sum)
	}
	if len(m.names) == 0 {
		m.names = []string{""}
	}
	return m, err
}

func (m mix) n() int { return len(m.names) }

// tenant returns whose u is, of 0 to below 1.
func (m mix) tenant(u float64) int {
	x := u * m.upto[len(m.upto)-1]
	return min(sort.Search(len(m.upto), func(i int) bool { return m.upto[i] > x }), len(m.upto)-1)
}
