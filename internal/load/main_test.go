package load_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction(consumertest.Background))
}
