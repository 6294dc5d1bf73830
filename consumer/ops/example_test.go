package ops_test

import (
	"fmt"
	"net/http/httptest"

	"github.com/spillwaymq/spillway/consumer/ops"
)

func ExampleNew() {
	h, err := ops.New(ops.Config{Consumer: running(), Listen: "127.0.0.1:8080"})
	if err != nil {
		fmt.Println(err)
		return
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/readyz", nil))
	fmt.Print(rec.Code, " ", rec.Body)
	// Output: 200 ok
}
