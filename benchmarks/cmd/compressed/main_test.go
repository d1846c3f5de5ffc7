package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryServerIsMeasured(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "compressed")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("servers", func(t *testing.T) {
		for _, s := range servers {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				out, err := exec.CommandContext(t.Context(), bin, "-c", "2", "-seconds", "1", "-entities", "100", "-payload", "built", s.name).CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				line := string(out)
				if !strings.HasPrefix(line, "BenchmarkCompressed/built/2clients/"+s.name+" 1 ") || !strings.Contains(line, " 0 errors ") ||
					!strings.Contains(line, "p99-of-all-ms") || strings.Contains(line, " 0 responses/s") {
					t.Error(line)
				}
			})
		}
	})
}
