package server

import (
	"strings"
	"testing"
	"time"
)

func TestConfig_Validate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   []string // parts of the error; none: valid
	}{
		{"the defaults are valid", func(*Config) {}, nil},
		{"zero is no limit where there may be none", func(c *Config) { *c = Config{ShutdownTimeout: 1} }, nil},
		{"a shutdown needs an end", func(c *Config) { c.ShutdownTimeout = 0 }, []string{"ShutdownTimeout is 0s, must be positive"}},
		{"negative header bytes", func(c *Config) { c.MaxHeaderBytes = -1 }, []string{"MaxHeaderBytes is -1"}},
		{"all that is wrong is named", func(c *Config) {
			c.ReadHeaderTimeout, c.ReadTimeout, c.WriteStall, c.IdleTimeout, c.DrainTime = -1, -1, -1, -1, -time.Second
		}, []string{"ReadHeaderTimeout", "ReadTimeout", "WriteStall", "IdleTimeout", "DrainTime is -1s"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Defaults()
			tt.change(&cfg)
			s, err := New(cfg)
			if (err == nil) != (len(tt.want) == 0) || (s == nil) != (err != nil) {
				t.Fatalf("New = %v, %v", s, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not name %q", err, part)
				}
			}
		})
	}
}

func TestDefaults_FitIntoAPodsGracePeriod(t *testing.T) {
	const terminationGracePeriod = 30 * time.Second
	cfg := Defaults()
	if total := cfg.DrainTime + cfg.ShutdownTimeout; total >= terminationGracePeriod {
		t.Errorf("drain and shutdown take %v of %v", total, terminationGracePeriod)
	}
	if cfg.ShutdownTimeout < 7*time.Second {
		t.Errorf("ShutdownTimeout %v does not outlast a connection that never spoke", cfg.ShutdownTimeout)
	}
}
