package tenants

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDeepestIsWithinTwiceTheFullestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, err := NewQueues[int](Config{Default: Policy{Queue: 1000}})
		if err != nil {
			t.Fatal(err)
		}
		depth := make(map[string]int)
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			if tenant := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "tenant")); rapid.IntRange(0, 2).Draw(t, "push") > 0 {
				if err := q.Push(tenant, "", 0, 0); err != nil {
					t.Fatal(err)
				}
				depth[tenant]++
			} else if j, ok := q.TryNext(time.Now()); ok {
				depth[j.Tenant]--
				q.Done(j)
			}
			fullest := 0
			for _, n := range depth {
				fullest = max(fullest, n)
			}
			if got := q.Deepest(); got < fullest || fullest > 0 && got >= 2*fullest || fullest == 0 && got != 0 {
				t.Fatalf("Deepest is %d, the fullest queue has %d", got, fullest)
			}
		}
	})
}
