package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/logging"
)

func TestDurationsAreSecondsInJSON(t *testing.T) {
	var out bytes.Buffer
	logging.New(&out, logging.JSON, slog.LevelInfo).Warn("resting", "for", 574925841*time.Nanosecond, "error", errors.New("it broke"))
	var line struct {
		Level, Msg, Error string
		Time              time.Time
		For               float64
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	if line.Level != "warn" || line.Msg != "resting" || line.Error != "it broke" || line.For != 0.574925841 || line.Time.IsZero() {
		t.Errorf("line %s", &out)
	}
}

func TestDurationsAreShortForPeople(t *testing.T) {
	var out bytes.Buffer
	logging.New(&out, logging.Console, slog.LevelInfo).Warn("resting", "for", 574925841*time.Nanosecond)
	if !strings.Contains(out.String(), " WARN resting {\"for\": \"575ms\"}") {
		t.Errorf("line %s", &out)
	}
}

func TestWhatIsBelowTheLevelIsNotWritten(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(&out, logging.JSON, slog.LevelWarn)
	log.Info("no")
	log.Warn("yes")
	if strings.Contains(out.String(), "no") || !strings.Contains(out.String(), "yes") {
		t.Errorf("written is %s", &out)
	}
}
