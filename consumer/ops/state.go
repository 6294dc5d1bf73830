package ops

import (
	"encoding/json"
	"net/http"
)

// state answers with the Snapshot. It is encoded first, so that what cannot be is an
// error and not half an answer.
func (s *server) state(w http.ResponseWriter, _ *http.Request) {
	body, err := json.Marshal(s.worker.Snapshot())
	if err != nil {
		s.log.Error("the state cannot be encoded", "error", err)
		http.Error(w, "the state cannot be encoded; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client went away, or it did not
}
