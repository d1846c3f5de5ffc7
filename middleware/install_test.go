package middleware

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	ginjson "github.com/gin-gonic/gin/codec/json"
)

// foreign is a codec that an app has set.
type foreign struct{ ginjson.Core }

func (foreign) Marshal(any) ([]byte, error) { return []byte("foreign"), nil }

func TestTheCodecsComeAndGoInAnyOrder(t *testing.T) {
	gins := ginjson.API
	defer func() { ginjson.API = gins }()
	others := foreign{gins}
	for _, tt := range []struct {
		name  string
		steps string // A and B install, a and b restore, x and y close; + sets another codec, - gin's own
		want  string // whose codec is in place after each step: A, B, + or -
	}{
		{"restored", "Aa", "A-"},
		{"closed", "Ax", "A-"},
		{"restored, then closed", "Aax", "A--"},
		{"installed again after that", "AxA", "A-A"},
		{"nested", "ABba", "ABA-"},
		{"nested, closed", "AByx", "ABA-"},
		{"the outer one first", "ABab", "ABB-"},
		{"the outer one closed first", "ABxy", "ABB-"},
		{"the outer one first, and both twice", "ABaxbyab", "ABBB----"},
		{"another one followed", "A+a", "A++"},
		{"another one followed, closed", "A+x-", "A++-"},
		{"another one was there", "+Aa", "+++"},
		{"another one came between", "A+Bbx", "A++++"},
		{"another one was there for a time", "A-Bb", "A-B-"},
		{"the same guard twice", "AAx", "AA-"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ginjson.API = gins
			a, b := guarded(t), guarded(t)
			restore := map[*Guard]func(){}
			closed := func(g *Guard) {
				if err := g.Close(context.Background()); err != nil {
					t.Error(err)
				}
			}
			for i, step := range tt.steps {
				switch step {
				case 'A':
					restore[a] = a.InstallCodec()
				case 'B':
					restore[b] = b.InstallCodec()
				case 'a':
					restore[a]()
				case 'b':
					restore[b]()
				case 'x':
					closed(a)
				case 'y':
					closed(b)
				case '+':
					ginjson.API = others
				case '-':
					ginjson.API = gins
				}
				got := "?"
				switch c := ginjson.API.(type) {
				case *codec:
					got = map[*Guard]string{a: "A", b: "B"}[c.guard]
				case foreign:
					got = "+"
				default:
					if c == gins {
						got = "-"
					}
				}
				if got != tt.want[i:i+1] {
					t.Fatalf("after %s the codec is %s, want %s", tt.steps[:i+1], got, tt.want[i:i+1])
				}
			}
			closed(a)
			closed(b)
			if current.Load() != nil || len(installed.codecs) > 0 {
				t.Errorf("left after all have gone: %v, %v", current.Load(), installed.codecs)
			}
		})
	}
}

func TestTheAppsOwnCodecStays(t *testing.T) {
	gins := ginjson.API
	defer func() { ginjson.API = gins }()
	ginjson.API = foreign{gins}
	var log strings.Builder
	r := gin.New()
	r.GET("/c.JSON", func(c *gin.Context) { c.JSON(200, 1) })
	r.GET("/c.PureJSON", func(c *gin.Context) { c.PureJSON(200, 1) })
	r.GET("/JSON", func(c *gin.Context) { JSON(c, 200, rows(30_000)) })
	s := serve(t, r, WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	if _, body := s.get("/c.JSON"); body != "foreign" {
		t.Errorf("c.JSON: got %q", body)
	}
	if _, body := s.get("/c.PureJSON"); body != "1\n" {
		t.Errorf("c.PureJSON: got %q", body)
	}
	before := s.guard.Stats().Encoder.Values
	s.wantStatus("/JSON", 200)
	if got := s.guard.Stats().Encoder.Values - before; got != 1 {
		t.Errorf("the encoder has encoded %d values, want that of JSON", got)
	}
	// Where no guard can be seen, it is found all the same.
	w := httptest.NewRecorder()
	r.ServeHTTP(w, httptest.NewRequest("GET", "/JSON", nil))
	if got := s.guard.Stats().Encoder.Values - before; got != 2 {
		t.Errorf("the encoder has encoded %d values, want both of JSON", got)
	}
	if got := strings.Count(log.String(), "middleware.foreign"); got != 1 {
		t.Errorf("said %d times, want once:\n%s", got, log.String())
	}
}
