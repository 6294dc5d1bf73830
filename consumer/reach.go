package consumer

import "slices"

// Unreached returns the subjects of the routes of m that match nothing of what a Consumer
// of cfg takes, as far as its Subjects and FilterSubjects tell: a mistake in most cases,
// though a stream that exists may have other subjects.
func (m *Mux) Unreached(cfg Config) []string {
	taken := overlaps(anything(cfg.Subjects), anything(cfg.FilterSubjects))
	var unreached []string
	for _, r := range m.routes {
		if len(overlaps([]string{r.Subject}, taken)) == 0 {
			unreached = append(unreached, r.Subject)
		}
	}
	return unreached
}

// anything returns patterns, or the one that matches every subject if there are none.
func anything(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{">"}
	}
	return patterns
}

// overlaps returns the patterns of what matches one of as and one of bs.
func overlaps(as, bs []string) []string {
	var both []string
	for _, a := range as {
		for _, b := range bs {
			if p, ok := intersect(a, b); ok && !slices.Contains(both, p) {
				both = append(both, p)
			}
		}
	}
	return both
}
