package encoder

import (
	"bytes"
	stdgzip "compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/zstd"
)

var compressions = []Compression{Gzip, Zstd}

// decompress reads one whole stream, by another library than ours where there
// is one, and not more memory than clients are told to expect.
func decompress(c Compression, b []byte) ([]byte, error) {
	if c == Gzip {
		src := bytes.NewReader(b)
		z, err := stdgzip.NewReader(src)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		out, err := io.ReadAll(z)
		if err == nil && src.Len() > 0 {
			err = errors.New("something follows the stream")
		}
		return out, err
	}
	z, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(zstdWindow))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	return io.ReadAll(z)
}

// squeezedRecorder is a recorder that is told of compression.
type squeezedRecorder struct {
	recorder
	json int64 // -1 until it is told
}

func newSqueezedRecorder(t testing.TB) *squeezedRecorder {
	return &squeezedRecorder{recorder: *newRecorder(t), json: -1}
}

func (r *squeezedRecorder) Compressed(json int64) {
	if r.json < 0 && r.writes > 0 {
		r.t.Errorf("told of compression after %d writes", r.writes)
	}
	if json < r.json {
		r.t.Errorf("%d bytes of JSON after %d", json, r.json)
	}
	r.json = json
}

// noise is a value of about so many bytes that hardly compresses.
func noise(bytes int) []string {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 48)
	out := make([]string, 0, bytes/100)
	for range bytes / 100 {
		_, _ = r.Read(b)
		out = append(out, hex.EncodeToString(b))
	}
	return out
}

func TestCompressedOutputIsTheSameJSON(t *testing.T) {
	values := map[string]any{
		"null":                        nil,
		"a short text":                "text",
		"rows":                        rows(1_500),
		"maps":                        map[string]any{"b": rows(100), "a": map[int]string{3: "<", 1: "\u2028"}, "c": nil},
		"what hardly compresses":      noise(200_000),
		"one long text":               strings.Join(noise(150_000), ""),
		"marshalers among rows":       []any{rows(200), marshalerFunc(func() ([]byte, error) { return []byte(` {"x" : "<"} `), nil }), rows(200)},
		"a marshaler's long output":   []any{1, marshalerFunc(func() ([]byte, error) { return json.Marshal(noise(150_000)) }), 2},
		"a long output in the middle": []any{rows(200), json.RawMessage(marshal(t, rows(2_000))), rows(200)},
	}
	settings := map[string][]Option{
		"defaults":                        nil,
		"no hold":                         {WithHold(0)},
		"tiny quanta and writes":          {WithQuantum(300), WithWriteSize(50), WithHold(1000)},
		"short quanta":                    {WithQuantum(4 << 10), WithHold(0)},
		"writes that are shorter by half": {WithWriteSize(compressedWriteSize / 2), WithHold(100 << 10)},
	}
	for setting, opts := range settings {
		for name, v := range values {
			for _, c := range compressions {
				t.Run(fmt.Sprintf("%s of %s, %s", c, name, setting), func(t *testing.T) {
					e := made(t, opts...)
					want := marshal(t, v)
					for range 2 { // the compressor is reused
						before := e.Stats().Bytes
						r := newSqueezedRecorder(t)
						n, err := e.Encode(t.Context(), r, v, Compressed(c, 0))
						if err != nil || n != int64(r.Len()) {
							t.Fatalf("%d, %v, with %d bytes written", n, err, r.Len())
						}
						got, err := decompress(c, r.Bytes())
						if err != nil {
							t.Fatal(err)
						}
						wantOutput(t, name, got, want)
						if r.json != int64(len(want)) || e.Stats().Bytes-before != r.json {
							t.Errorf("told of %d bytes of JSON, counted %d, want %d", r.json, e.Stats().Bytes-before, len(want))
						}
						if r.size != n && (r.size >= 0 || n <= int64(e.cfg.hold)) {
							t.Errorf("size %d of %d bytes, with a hold of %d", r.size, n, e.cfg.hold)
						}
					}
				})
			}
		}
	}
}

func TestShortValuesAreNotCompressed(t *testing.T) {
	for _, tt := range []struct {
		name       string
		v          any
		min        int
		compressed bool
	}{
		{"shorter by a byte", strings.Repeat("x", 1000-len(`""`)-1), 1000, false},
		{"just long enough", strings.Repeat("x", 1000-len(`""`)), 1000, true},
		{"no minimum", 1, 0, true},
		{"more than a quantum is never short", rows(10_000), math.MaxInt, true},
	} {
		for _, c := range append(compressions, 0) {
			t.Run(fmt.Sprint(tt.name, ", ", c), func(t *testing.T) {
				r := newSqueezedRecorder(t)
				if _, err := made(t).Encode(t.Context(), r, tt.v, Compressed(c, tt.min)); err != nil {
					t.Fatal(err)
				}
				got, compressed := r.Bytes(), r.json >= 0
				if compressed != (tt.compressed && c != 0) {
					t.Fatalf("compressed: %v", compressed)
				}
				if compressed {
					var err error
					if got, err = decompress(c, got); err != nil {
						t.Fatal(err)
					}
				}
				wantOutput(t, tt.name, got, marshal(t, tt.v))
			})
		}
	}
}

// failing are encodes that end half-way. After each of them the compressor is
// in the middle of a stream, and the next one to use it must not notice.
func failing(t *testing.T, before any) map[string]func(*Encoder, *squeezedRecorder, Compression) error {
	broken := func(do func() ([]byte, error)) any { return []any{before, marshalerFunc(do)} }
	simply := func(ctx context.Context, v any) func(*Encoder, *squeezedRecorder, Compression) error {
		return func(e *Encoder, r *squeezedRecorder, c Compression) error {
			_, err := e.Encode(ctx, r, v, Compressed(c, 0))
			return err
		}
	}
	return map[string]func(*Encoder, *squeezedRecorder, Compression) error{
		"a number that has no JSON": simply(t.Context(), []any{before, math.NaN()}),
		"a marshaler's error":       simply(t.Context(), broken(func() ([]byte, error) { return nil, errBroken })),
		"a panic": func(e *Encoder, r *squeezedRecorder, c Compression) (err error) {
			defer func() { err, _ = recover().(error) }()
			_, _ = e.Encode(t.Context(), r, broken(func() ([]byte, error) { panic(errBroken) }), Compressed(c, 0))
			return nil
		},
		"Goexit": func(e *Encoder, r *squeezedRecorder, c Compression) error {
			if ended := <-run(func() ([]byte, int64, error) {
				n, err := e.Encode(t.Context(), r, broken(func() ([]byte, error) { runtime.Goexit(); return nil, nil }), Compressed(c, 0))
				return nil, n, err
			}); !ended.exited {
				return nil
			}
			return errBroken
		},
		"a context that ends": func(e *Encoder, r *squeezedRecorder, c Compression) error {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stop := marshalerFunc(func() ([]byte, error) { cancel(); return []byte("1"), nil })
			_, err := e.Encode(ctx, r, []any{before, stop, before}, Compressed(c, 0))
			return err
		},
		"a writer's error": func(e *Encoder, r *squeezedRecorder, c Compression) error {
			_, err := e.Encode(t.Context(), writerFunc(func([]byte) (int, error) { return 0, errBroken }), before, Compressed(c, 0))
			return err
		},
	}
}

func TestWhatFailsHalfWayLeavesNothingInTheCompressor(t *testing.T) {
	before, after := noise(300_000), rows(1_500)
	good, want := marshal(t, []any{before}), marshal(t, after)
	good = good[:len(good)-1]
	for _, hold := range []int{0, DefaultHold} {
		for name, fail := range failing(t, before) {
			for _, c := range compressions {
				t.Run(fmt.Sprintf("%s, %s, hold %d", name, c, hold), func(t *testing.T) {
					e := made(t, WithHold(hold), WithQuantum(8<<10))
					r := newSqueezedRecorder(t)
					if err := fail(e, r, c); err == nil {
						t.Fatal("no error")
					}
					if hold > 0 && r.writes > 0 {
						t.Errorf("%d bytes were written of an output that fits the hold", r.Len())
					}
					if r.size != -1 {
						t.Errorf("SetSize(%d)", r.size)
					}
					got, err := decompress(c, r.Bytes())
					if r.writes == 0 {
						err = io.ErrUnexpectedEOF
					}
					if hold == 0 && name != "a writer's error" && len(got) < 50_000 || !bytes.HasPrefix(good, got) {
						t.Errorf("the output has %d bytes that begin %.60q", len(got), got)
					}
					if err == nil {
						t.Error("half of the output is a whole stream")
					}
					var out bytes.Buffer
					if _, err := e.Encode(t.Context(), &out, after, Compressed(c, 0)); err != nil {
						t.Fatal(err)
					}
					got, err = decompress(c, out.Bytes())
					if err != nil {
						t.Fatal(err)
					}
					wantOutput(t, "what followed", got, want)
				})
			}
		}
	}
}

func TestARefusedEncodeIsNotCompressed(t *testing.T) {
	e := made(t, WithQueue(1))
	v := rows(10_000)
	release := occupy(e)
	waits := startEncode(t.Context(), e, new(counter), v)
	waiting(e, 1)
	w := untouched(t)
	if _, err := e.Encode(t.Context(), w, v, Compressed(Gzip, 0)); !errors.Is(err, ErrOverloaded) {
		t.Errorf("a full queue: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Encode(ctx, w, v, Compressed(Zstd, 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	release()
	if r := <-waits; r.err != nil {
		t.Error(r.err)
	}
}

// The value changes while the writer stalls: how far the encoder had come by
// then shows in the output.
func TestAStalledWriterOfCompressedOutputHoldsTwoSegments(t *testing.T) {
	for _, c := range compressions {
		t.Run(c.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := made(t, WithWorkers(2), WithHold(0))
				v := make([]uint64, 80_000)
				fill := func(digit uint64) {
					for i := range v {
						v[i] = digit*1e18 + rand.Uint64N(1e18)
					}
				}
				fill(1)
				w := &announced{stalling: newStalling()}
				end := run(func() ([]byte, int64, error) {
					n, err := e.Encode(t.Context(), w, v, Compressed(c, 0))
					return nil, n, err
				})
				const stalls = 3
				var told []int64 // bytes of JSON before the value changed to the next digit
				for digit := uint64(1); digit <= stalls; digit++ {
					<-w.begun
					synctest.Wait()
					told = append(told, w.json)
					fill(digit + 1)
					w.goOn <- struct{}{}
					synctest.Wait()
				}
				r := w.pass(end)
				if r.err != nil {
					t.Fatal(r.err)
				}
				json, err := decompress(c, w.Bytes())
				if err != nil {
					t.Fatal(err)
				}
				ratio := float64(len(json)) / float64(w.Len())
				for i, told := range told {
					changed := bytes.Index(json, fmt.Appendf(nil, ",%d", i+2))
					held := float64(changed-int(told)) / ratio
					if most := float64(compressedWriteSize + 2*DefaultQuantum); held > most || held < compressedWriteSize/2 {
						t.Errorf("stall %d: %.0f bytes were ready besides those being written, want about %d", i+1, held, compressedWriteSize)
					}
				}
			})
		})
	}
}

// announced is a stalling writer that is told of compression.
type announced struct {
	*stalling
	json int64
}

func (a *announced) Compressed(json int64) { a.json = json }

func TestManyCompressAtOnce(t *testing.T) {
	e := made(t, WithWorkers(3), WithQuantum(4<<10), WithHold(10<<10))
	values := []any{rows(10), rows(1_000), noise(100_000), []any{noise(50_000), math.Inf(1)}}
	var want [][]byte
	for _, v := range values[:3] {
		want = append(want, marshal(t, v))
	}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for round := range 4 {
				k, c := (i+round)%len(values), compressions[i%2]
				ctx, cancel := context.WithCancel(t.Context())
				var out bytes.Buffer
				_, err := e.Encode(ctx, writerFunc(func(b []byte) (int, error) {
					if round == 3 {
						cancel()
					}
					return out.Write(b)
				}), values[k], Compressed(c, 0))
				cancel()
				switch {
				case k == len(want):
					if err == nil {
						t.Error("infinity has JSON")
					}
				case err == nil:
					got, err := decompress(c, out.Bytes())
					if err != nil {
						t.Error(err)
					}
					wantOutput(t, "one of many", got, want[k])
				case round != 3:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
