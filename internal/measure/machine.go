package measure

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine is what figures were taken on.
type Machine struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	CPU        string `json:"cpu,omitempty"` // "" where the system does not tell
	Cores      int    `json:"cores"`
	GOMAXPROCS int    `json:"gomaxprocs"` // how many of them the program uses
	Go         string `json:"go"`
}

// ThisMachine describes the machine that the program runs on.
func ThisMachine() Machine {
	return Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: cpuModel(),
		Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), Go: runtime.Version(),
	}
}

// String returns it in a line.
func (m Machine) String() string {
	cpu := m.CPU
	if cpu == "" {
		cpu = "unknown processor"
	}
	cores := fmt.Sprintf("%d cores", m.Cores)
	if m.GOMAXPROCS != m.Cores {
		cores += fmt.Sprintf(", GOMAXPROCS %d", m.GOMAXPROCS)
	}
	return fmt.Sprintf("%s, %s, %s, %s/%s", cpu, cores, m.Go, m.OS, m.Arch)
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
