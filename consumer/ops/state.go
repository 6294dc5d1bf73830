package ops

import (
	"encoding/json"
	"net/http"
)

// state answers with the Snapshot: whole, or with the tenants that the query asks for. It is
// encoded first, so that what cannot be is an error and not half an answer.
func (s *server) state(w http.ResponseWriter, r *http.Request) {
	state := s.worker.Snapshot()
	if q := r.URL.Query(); len(q) > 0 {
		v, err := viewOf(q)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		state.Tenants, _ = v.choose(state.Tenants, s.waits)
	}
	body, err := json.Marshal(state)
	if err != nil {
		s.log.Error("the state cannot be encoded", "error", err)
		http.Error(w, "the state cannot be encoded; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client went away, or it did not
}
