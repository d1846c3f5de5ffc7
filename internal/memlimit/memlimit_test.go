package memlimit

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
)

func TestCgroup(t *testing.T) {
	for _, tt := range []struct {
		name  string
		self  string
		files map[string]string
		want  int64
	}{
		{"no cgroup at all", "", nil, 0},
		{"version 2, no limit", "0::/app\n", map[string]string{"app/memory.max": "max\n"}, 0},
		{"version 2, own limit", "0::/app\n", map[string]string{"app/memory.max": "1048576\n"}, 1 << 20},
		{"version 2, the parent is tighter", "0::/pod/app\n", map[string]string{"pod/memory.max": "512\n", "pod/app/memory.max": "1024\n"}, 512},
		{"version 2 in a container, path not mounted", "0::/kubepods/x\n", map[string]string{"memory.max": "4096\n"}, 4096},
		{"version 1", "5:cpu,cpuacct:/\n4:memory:/docker/x\n", map[string]string{"memory/docker/x/memory.limit_in_bytes": "2048\n"}, 2048},
		{"version 1, no limit", "4:memory:/\n", map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		{"garbage", "what is this\n\n0::\n", map[string]string{"memory.max": "-3 elephants"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root := t.TempDir()
			self := filepath.Join(root, "self")
			if tt.self != "" {
				write(t, self, tt.self)
			}
			for name, content := range tt.files {
				write(t, filepath.Join(root, "fs", name), content)
			}
			if got := cgroup(filepath.Join(root, "fs"), self); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestBytesHonoursGOMEMLIMIT(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 20))
	if got := Bytes(); got != 1<<20 {
		t.Errorf("got %d, want the limit set", got)
	}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
